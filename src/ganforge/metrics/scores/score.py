from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import RealShare
from ganforge.metrics.source import ImageSource
from ganforge.needs import Need

log = logging.getLogger("ganforge")


class ScoreValue(NamedTuple):
    """The value of a score.

    Attributes:
        value: the score.
        std: standard deviation over subsets; None if the score uses no subsets.
    """

    value: float
    std: float | None


class Score:
    """Base class of scores of generated images, computed from features shared by all scores.

    Wraps a torchmetrics metric, which reduces over processes. Computations use float64.

    Attributes:
        uses: the extractor's output that the score uses.
        needs_real: whether generated images are compared with real ones.
        needs: with "labels", the score needs the requested classes, and so a conditional model.
        higher_is_better: whether higher values are better; None if the best value is in between.
        suffixed: whether the published name ends with the suffix of the features.
        extractor: the score's own extractor; None uses the run's extractor.
        least: minimum number of real and of generated images.
        streams: whether the moments of the real images suffice, so that no rows are kept.
    """

    uses: Literal["features", "logits"] = "features"
    needs_real: bool = True
    needs: frozenset[Need] = frozenset()
    higher_is_better: bool | None = False
    suffixed: bool = True
    extractor: FeatureExtractor | None = None
    least: int = 2
    streams: bool = False

    metric: Metric

    def published(self, name: str, shared: FeatureExtractor) -> str:
        """Returns the name under which results are reported, given the run's extractor."""
        return name + shared.suffix if self.suffixed else name

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Prepares for the first evaluation; returns whether the score applies to ``data``.

        Args:
            data: real images.
            shared: the run's feature extractor.
            device: device of the extractors.
        """
        if self.uses == "logits" and shared.num_logits == 0:
            name = type(self).__name__
            log.warning("NO %s in this run: features=%s names no classes", name, shared.name)
            return False
        return True

    def check_classes(self, real: Tensor, requested: Tensor) -> None:
        """Raises ConfigError if a class has too few images, before any image is generated.

        Called for scores with ``needs_real`` that need labels.

        Args:
            real: labels of the real images, int64 [n_real].
            requested: classes of the generated images, int64 [n].
        """

    def family(self) -> Hashable:
        """Returns a key that is equal for scores sharing one metric; unique by default."""
        return id(self)

    def reset(
        self,
        width: int,
        n_real: int,
        n_fake: int,
        device: torch.device,
        seed: int = 0,
        first: int = 0,
    ) -> None:
        """Starts an evaluation of ``n_fake`` images against ``n_real``, over all processes.

        Args:
            width: number of columns of the rows passed to :meth:`update`.
            n_real: number of real images.
            n_fake: number of generated images.
            device: device of the metric; replaced by the CPU on Metal, which has no float64.
            seed: seed of random draws made during updates.
            first: index of this process's first generated image among all.
        """
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.seed, self.first = seed, first
        self.metric = self._build(width, n_real, n_fake).to(self.device)

    def share_metric(self, other: Score) -> None:
        """Shares this score's metric with another score of the family, which gets no updates."""
        other.metric = self.metric

    def release(self) -> None:
        """Frees the memory of a finished evaluation."""
        self.__dict__.pop("metric", None)

    def update_real(self, share: RealShare) -> None:
        """Updates the score with this process's real images; called once, after generated ones."""
        self.update(share.rows(self.uses), real=True)

    def update(self, values: Tensor, real: bool) -> None:
        """Updates the score with this process's next rows [n, width], in order.

        Generated images arrive in blocks, so that a score that only keeps sums needs no memory
        for rows.
        """
        self.metric.update(values.to(self.device).double(), real)

    def compare(self, values: Tensor, labels: Tensor) -> None:
        """Updates the score with this process's next generated rows and their requested classes.

        Called instead of :meth:`update` if the score needs labels; rows are [n, width].
        """
        raise NotImplementedError

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the score, equal on all processes: by default the value of the metric.

        Args:
            seed: seed of random subsets; ignored by default.
        """
        return ScoreValue(float(self.metric.compute()), None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the settings that decide whether two values are comparable."""
        return {}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        raise NotImplementedError


def ranked(scores: Mapping[str, Any]) -> list[str]:
    """Returns the names of scores with a defined direction (``higher_is_better``), in order."""
    return [name for name, score in scores.items() if score.higher_is_better is not None]


def fitting(
    scores: Mapping[str, Score],
    data: ImageSource,
    extractor: FeatureExtractor,
    device: torch.device,
) -> dict[str, Score]:
    """Prepares scores; returns those that fit the data. The others log why they do not."""
    return {name: one for name, one in scores.items() if one.prepare(data, extractor, device)}


@contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """Seeds the CPU's global generator within the context and restores its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also seed all other devices, whose state is not restored.
        torch.default_generator.manual_seed(seed)
        yield


class Paths(Protocol):
    """Pairs of neighboring images on paths through a latent space, in blocks.

    Attributes:
        size: pairs per block.
        space: the latent space, "z" or "w".
    """

    size: int
    space: str

    def __call__(self, block: int, epsilon: float) -> tuple[Tensor, Tensor]:
        """Returns a block's images at t and t + epsilon, [size, C, H, W] in [-1, 1] each."""
        ...


class PathScore(Score):
    """Base class of scores of a latent space, computed from images generated along paths."""

    needs_real = False

    def update_paths(self, paths: Paths, rank: int, world: int) -> None:
        """Updates the score with this process's share of the paths.

        Args:
            paths: generates the pairs of images.
            rank: index of this process.
            world: number of processes.
        """
        raise NotImplementedError

    def update(self, values: Tensor, real: bool) -> None:
        """Ignores ordinary images: only those on paths count."""


def refuse_images(name: str) -> ConfigError:
    """Returns the error for a path score of images that have no latent space."""
    return ConfigError(
        f"metrics={name} needs the latent space of a model, which these images do not have. "
        "Leave it out of metrics=[...]"
    )
