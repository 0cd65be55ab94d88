from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.real_features import RealShare
from ganforge.metrics.source import ImageSource

log = logging.getLogger("ganforge")


class ScoreValue(NamedTuple):
    """A score.

    Attributes:
        value: the score.
        std: its standard deviation over subsets, None where there are none.
    """

    value: float
    std: float | None


class Score:
    """A number that judges generated images by features that were computed once for all scores.

    A shell around a torchmetrics metric, which sums over processes. Maths is done in float64.

    Attributes:
        uses: which of an extractor's outputs it looks at.
        needs_real: whether generated images are compared with real ones.
        needs_labels: whether the classes asked for are looked at: images of a game with classes.
        higher_is_better: which way is up; None where the best value lies between others.
        suffixed: whether its published name tells which features it is of.
        extractor: what it looks through in place of the run's extractor; None for that one.
        least: real images and generated images that it needs, of each.
        streams: whether moments of the real images are enough, so that they need not be kept.
    """

    uses: Literal["features", "logits"] = "features"
    needs_real: bool = True
    needs_labels: bool = False
    higher_is_better: bool | None = False
    suffixed: bool = True
    extractor: FeatureExtractor | None = None
    least: int = 2
    streams: bool = False

    metric: Metric

    def published(self, name: str, shared: FeatureExtractor) -> str:
        """Returns the name that results go by, where the run looks through ``shared``."""
        return name + shared.suffix if self.suffixed else name

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Makes ready before the first evaluation; returns whether it can judge these data.

        Args:
            data: real images.
            shared: what the run's scores look through.
            device: where images are looked at.
        """
        if self.uses == "logits" and shared.num_logits == 0:
            name = type(self).__name__
            log.warning("NO %s in this run: features=%s names no classes", name, shared.name)
            return False
        return True

    def check_classes(self, real: Tensor, asked: Tensor) -> None:
        """Refuses fewer images of a class than it needs, before any image is made or looked at.

        Of scores of real images that have ``needs_labels``.

        Args:
            real: labels of the real images, int64 [n_real].
            asked: the classes that generated images will be asked for, int64 [n].
        """

    def family(self) -> Hashable:
        """Returns what is equal for scores that compute everything together, by default itself."""
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
            width: columns of the values to come.
            n_real: number of real images.
            n_fake: number of generated images.
            device: where it is computed; the CPU in place of Metal, which has no float64.
            seed: decides what is drawn while images come.
            first: place of this process's first generated image among all.
        """
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.seed, self.first = seed, first
        self.metric = self._build(width, n_real, n_fake).to(self.device)

    def welcome(self, other: Score) -> None:
        """Computes for another score of the same family too, which takes no images then."""
        other.metric = self.metric

    def release(self) -> None:
        """Frees the memory of an evaluation that is over."""
        self.__dict__.pop("metric", None)

    def learn(self, share: RealShare) -> None:
        """Takes this process's real images, once, after the generated ones."""
        self.update(share.rows(self.uses), real=True)

    def update(self, values: Tensor, real: bool) -> None:
        """Takes this process's next rows [n, width] of real or of generated images, in order.

        Generated images come in blocks, so that a score that only sums up takes no room.
        """
        self.metric.update(values.to(self.device).double(), real)

    def compare(self, values: Tensor, labels: Tensor) -> None:
        """Takes this process's next rows [n, width] of generated images, and the classes asked for.

        In place of :meth:`update`, where ``needs_labels`` is set.
        """
        raise NotImplementedError

    def compute(self, seed: int) -> ScoreValue:
        """Returns the score, the same on all processes.

        Args:
            seed: decides random subsets.
        """
        raise NotImplementedError

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the settings that decide whether two values are comparable."""
        return {}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        raise NotImplementedError


def ranked(scores: Mapping[str, Score]) -> list[str]:
    """Returns the names of scores of which one value is better than another, in their order."""
    return [name for name, score in scores.items() if score.higher_is_better is not None]


@contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """Seeds the CPU's global generator for a while."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed every other device too, and not take it back.
        torch.default_generator.manual_seed(seed)
        yield
