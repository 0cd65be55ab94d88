from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.scores.score import Score, ScoreValue
from ganforge.metrics.source import ImageSource

CHUNK = 4096


class ModeHistograms(Metric):
    """Counts real and generated images by mode; counts are summed over processes.

    An image belongs to the mode with the highest logit. For Gaussians of standard deviation s, the
    logits are -d^2 / (2 s^2) with the distance d to each center. The highest logit is then that of
    the nearest center, and is at least -r^2 / 2 within r standard deviations of it.

    Args:
        modes: k.
        radius: standard deviations from its mode within which an image is of high quality.

    Attributes:
        real: counts of real images, int64 [k].
        fake: counts of generated images, int64 [k].
        good: counts of high-quality generated images, int64 [k].
    """

    full_state_update = False
    real: Tensor
    fake: Tensor
    good: Tensor

    def __init__(self, modes: int, radius: float = 3.0) -> None:
        super().__init__()
        self.radius = radius
        for name in ("real", "fake", "good"):
            self.add_state(name, torch.zeros(modes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, real: bool) -> None:
        """Adds logits [B, k] of real or of generated images."""
        everything, good = count_modes(logits, self.radius)
        if real:
            self.real += everything
        else:
            self.fake += everything
            self.good += good

    def compute(self) -> dict[str, float]:
        """Returns all scores by name; KL(fake || real) is NaN without real images."""
        known = bool(self.real.sum() > 0)
        return {
            "modes": float((self.good > 0).sum()),
            "high_quality": float(self.good.sum() / self.fake.sum()),
            "mode_kl": mode_divergence(self.fake, self.real) if known else float("nan"),
        }


class ModeScore(Score):
    """Base class of the scores computed from :class:`ModeHistograms`.

    Cannot see: variety within a mode, copies of training images.

    Args:
        radius: standard deviations from the nearest mode within which a sample is of high quality.
            3 in VEEGAN (arXiv:1705.07761) and PacGAN (arXiv:1712.04086). Extractors without a
            notion of distance, such as the digit classifier, count every image.
    """

    uses = "logits"
    suffixed = False  # modes depend on both data and extractor: see the result's protocol
    name: str

    def __init__(self, radius: float = 3.0) -> None:
        if radius <= 0:
            raise ConfigError(f"{self.name}: radius must be above 0, got {radius}")
        self.radius = radius

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Raises ConfigError if the extractor's logits are not those of the data's modes."""
        if not (shared.names_labels or shared.names_modes):
            raise ConfigError(
                f"metrics={self.name} counts modes, and features={shared.name} has no logits for "
                f"those of data={data.name}. Use features=auto on ring8, grid25 or stacked data, "
                "or features=classifier"
            )
        return True

    def update(self, values: Tensor, real: bool) -> None:
        """Adds this process's logits [n, k]; only counts are kept."""
        self.metric.update(values.to(self.device), real)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the score; ``seed`` is not used."""
        return ScoreValue(self.metric.compute()[self.name], None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the radius."""
        return {"radius": self.radius}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return ModeHistograms(width, self.radius)


class ModesCovered(ModeScore):
    """Number of modes with at least one high-quality generated sample, 0 to k.

    Srivastava et al. 2017, arXiv:1705.07761; Lin et al. 2018, arXiv:1712.04086.
    """

    name = "modes"
    needs_real = False
    higher_is_better = True


class HighQuality(ModeScore):
    """Share of generated samples within ``radius`` deviations of their nearest mode, 0 to 1."""

    name = "high_quality"
    needs_real = False
    higher_is_better = True


class ModeDivergence(ModeScore):
    """KL(fake || real) of the histograms over modes, in nats; 0 for equal shares."""

    name = "mode_kl"


def count_modes(logits: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Counts images by mode.

    Args:
        logits: [B, k].
        radius: standard deviations from its mode within which an image is of high quality.

    Returns:
        Counts of all images and of high-quality images, int64 [k] each.
    """
    k = logits.shape[1]
    everything = torch.zeros(k, dtype=torch.int64, device=logits.device)
    good = torch.zeros_like(everything)
    for chunk in torch.split(logits, CHUNK):
        best, mode = chunk.max(1)
        everything += torch.bincount(mode, minlength=k)
        good += torch.bincount(mode[best >= -(radius**2) / 2], minlength=k)
    return everything, good


def mode_divergence(fake: Tensor, real: Tensor) -> float:
    """Returns KL(fake || real) of two histograms over modes, in nats, 0 for equal shares.

    All images count, each for its nearest mode: the reverse divergence of PacGAN's tables. A mode
    without real images counts as half a real image, which keeps the divergence finite.

    Args:
        fake: [k] counts.
        real: [k] counts.
    """
    p = fake.double() / fake.sum()
    counts = real.double().clamp(min=0.5)
    q = counts / counts.sum()
    return max(float(torch.xlogy(p, p / q).sum()), 0.0)
