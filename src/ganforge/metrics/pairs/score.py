from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.evaluate import Result
from ganforge.metrics.pairs.direction import Direction


class PairScore:
    """A number that judges translated images one by one, each against the image it should be.

    The mean over images of a number of each, in float64 and in pixel values of [0, 1]. Cannot see:
    variety over draws, and that another image might fit the input as well.

    Attributes:
        higher_is_better: which way is up.
        cyclic: whether images are judged that went there and back, against themselves.
        needs_inputs: it judges games that make images of images.
    """

    higher_is_better: bool = False
    cyclic: bool = False
    needs_inputs: bool = True

    metric: Metric

    def check(self, name: str, direction: Direction) -> None:
        """Refuses data and games that it can't judge, before a run begins.

        Args:
            name: what the configuration calls it.
            direction: what is translated into what.

        Raises:
            ConfigError: with a way out.
        """
        if not direction.paired:
            raise ConfigError(
                f"metrics={name} holds translations against the images that belong to the inputs, "
                "and these data are not paired. Leave it out of metrics=[...]; unpaired data take "
                "metrics=[fid,kid,cycle_l1]"
            )

    def prepare(self, device: torch.device) -> None:
        """Makes ready before the first evaluation what is looked through, if anything."""

    def published(self, name: str, direction: Direction) -> str:
        """Returns the name that results go by: ``l1``, or ``l1_AtoB`` in a game of two ways."""
        return direction.published(name)

    def reset(self, device: torch.device) -> None:
        """Starts an evaluation; on the CPU in place of Metal, which has no float64."""
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.metric = MeanOfImages().to(self.device)

    def update(self, outputs: Tensor, expected: Tensor) -> None:
        """Takes images of this process.

        Args:
            outputs: [n, C, H, W] in [-1, 1].
            expected: what each should be, [n, C, H, W] in [-1, 1].
        """
        self.metric.update(self.each(self._pixels(outputs), self._pixels(expected)))

    def each(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """Returns the number of each image, [n], from float64 [n, C, H, W] in [0, 1]."""
        raise NotImplementedError

    def compute(self) -> float:
        """Returns the mean over the images of all processes, the same on all of them."""
        return float(self.metric.compute())

    def result(self, direction: Direction, n: int, split: str) -> Result:
        """Returns the mean with its protocol.

        Args:
            direction: what was translated into what.
            n: images, over all processes.
            split: where they are from.
        """
        details = self.protocol() | {"direction": direction.name}
        up = self.higher_is_better
        return Result(self.compute(), None, "none", n, n, split, "none", details, up)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the settings that decide whether two values are comparable."""
        return {"range": "0 to 1"}

    def _pixels(self, images: Tensor) -> Tensor:
        # Clamped, since so are the files that anybody else would measure.
        return images.to(self.device).double().add(1).div(2).clamp(0, 1)


class MeanOfImages(Metric):
    """The mean of a number of each image; sums add up over processes."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        """Takes the numbers of some images, [n]."""
        self.total += values.double().sum()
        self.count += len(values)

    def compute(self) -> Tensor:
        """Returns the mean, float64."""
        return self.total / self.count
