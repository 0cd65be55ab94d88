from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.evaluate import Result
from ganforge.metrics.pairs.direction import Direction, TranslationSource, directions_of
from ganforge.metrics.scores.score import PathScore, Score, refuse_images
from ganforge.needs import Need


class PairScore:
    """Base class of scores that compare each translated image with its target.

    The mean of a value per image, in float64 and for pixel values in [0, 1]. Cannot see:
    variety over draws, and that another image might fit the input as well.

    Attributes:
        higher_is_better: whether higher values are better.
        cyclic: whether the score compares reconstructions with the inputs.
        needs: with "inputs", the score applies only to models that translate images.
    """

    higher_is_better: bool = False
    cyclic: bool = False
    needs: frozenset[Need] = frozenset({"inputs"})

    metric: Metric

    def check(self, name: str, direction: Direction) -> None:
        """Checks that the score applies to the data and the model, before a run starts.

        Args:
            name: the score's name in the configuration.
            direction: the direction of the translation.

        Raises:
            ConfigError: The score does not apply; the message suggests an alternative.
        """
        if not direction.paired:
            raise ConfigError(
                f"metrics={name} compares translations with the targets of their inputs, and these "
                "data are not paired. Leave it out of metrics=[...]; for unpaired data use "
                "metrics=[fid,kid,cycle_l1]"
            )

    def prepare(self, device: torch.device) -> None:
        """Loads the network that the score uses, if any; called before the first evaluation."""

    def published(self, name: str, direction: Direction) -> str:
        """Returns the published name: ``l1``, or ``l1_AtoB`` if there are two directions."""
        return direction.published(name)

    def reset(self, device: torch.device) -> None:
        """Starts an evaluation; uses the CPU instead of Metal, which has no float64."""
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.metric = MeanOfImages().to(self.device)

    def update(self, outputs: Tensor, expected: Tensor) -> None:
        """Updates the score with images of this process.

        Args:
            outputs: [n, C, H, W] in [-1, 1].
            expected: the target of each output, [n, C, H, W] in [-1, 1].
        """
        self.metric.update(self.each(self._pixels(outputs), self._pixels(expected)))

    def each(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """Returns the value of each image, [n], from float64 [n, C, H, W] in [0, 1]."""
        raise NotImplementedError

    def compute(self) -> float:
        """Returns the mean over the images of all processes, equal on all processes."""
        return float(self.metric.compute())

    def result(self, direction: Direction, n: int, split: str) -> Result:
        """Returns the mean with its protocol.

        Args:
            direction: the direction of the translation.
            n: number of images, over all processes.
            split: split of the images.
        """
        details = self.protocol() | {"direction": direction.name}
        up = self.higher_is_better
        return Result(self.compute(), None, "none", n, n, split, "none", details, up)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the settings that decide whether two values are comparable."""
        return {"range": "0 to 1"}

    def _pixels(self, images: Tensor) -> Tensor:
        # Clamped like saved image files, so that scores of files are comparable.
        return images.to(self.device).double().add(1).div(2).clamp(0, 1)


class MeanOfImages(Metric):
    """The mean of a value per image, over the images of all processes."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        """Adds the values of some images, [n]."""
        self.total += values.double().sum()
        self.count += len(values)

    def compute(self) -> Tensor:
        """Returns the mean, float64."""
        return self.total / self.count


Metrics = Mapping[str, Score | PairScore]


def feature_scores(metrics: Metrics) -> dict[str, Score]:
    """Returns the scores that compare distributions of features."""
    return {name: one for name, one in metrics.items() if isinstance(one, Score)}


def pair_scores(metrics: Metrics) -> dict[str, PairScore]:
    """Returns the scores that compare each image with its target."""
    return {name: one for name, one in metrics.items() if isinstance(one, PairScore)}


def check_metrics(metrics: Metrics, data: TranslationSource, names: Sequence[str]) -> None:
    """Checks that all scores apply to the data and the model, before a run starts.

    Args:
        metrics: by name.
        data: two domains.
        names: the model's directions.

    Raises:
        ConfigError: A score does not apply; the message suggests an alternative.
    """
    for name, score in feature_scores(metrics).items():
        if isinstance(score, PathScore):
            raise refuse_images(name)
        if "labels" in score.needs:
            raise ConfigError(
                f"metrics={name} compares with the requested classes, and translations have none. "
                "Leave it out of metrics=[...]"
            )
    for name, pair in pair_scores(metrics).items():
        for direction in directions_of(data, names):
            pair.check(name, direction)
