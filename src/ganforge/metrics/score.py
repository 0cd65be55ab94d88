from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from ganforge.metrics.features import FeatureExtractor
from ganforge.metrics.source import ImageSource


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
        higher_is_better: which way is up.
        suffixed: whether its published name tells which features it is of.
        extractor: what it looks through in place of the run's extractor; None for that one.
    """

    uses: Literal["features", "logits"] = "features"
    needs_real: bool = True
    needs_labels: bool = False
    higher_is_better: bool = False
    suffixed: bool = True
    extractor: FeatureExtractor | None = None

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
        return True

    def reset(self, width: int, n_real: int, n_fake: int, device: torch.device) -> None:
        """Starts an evaluation of ``n_fake`` images against ``n_real``, over all processes.

        Args:
            width: columns of the values to come.
            n_real: number of real images.
            n_fake: number of generated images.
            device: where it is computed; the CPU in place of Metal, which has no float64.
        """
        self.device = torch.device("cpu") if device.type == "mps" else device
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Metric `.*` will save all extracted")
            self.metric = self._build(width, n_real, n_fake).to(self.device)

    def update(self, values: Tensor, real: bool) -> None:
        """Takes this process's rows [n, width] of all real or of all generated images.

        To be called once for each: several calls would be gathered in another order.
        """
        self.metric.update(values.to(self.device).double(), real)

    def compare(self, values: Tensor, labels: Tensor) -> None:
        """Takes this process's rows [n, width] of all generated images, and the classes asked for.

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


class PassThrough(nn.Identity):
    """Stands where torchmetrics wants an extractor, because the values are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


@contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """Seeds the CPU's global generator for a while; torchmetrics draws its subsets from it."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed every other device too, and not take it back.
        torch.default_generator.manual_seed(seed)
        yield
