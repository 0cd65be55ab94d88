"""How generated images spread over the modes of a distribution whose modes are known.

Everything follows from logits [B, k], one column for each mode, whose highest is the mode that an
image belongs to. For Gaussians of deviation s they are -d^2 / (2 s^2), d being the distance to each
centre: the highest is the nearest, and within r deviations of it the logit is at least -r^2 / 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK = 4096


def count_modes(logits: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Counts images by mode.

    Args:
        logits: [B, k].
        radius: deviations from its mode within which an image is of high quality.

    Returns:
        int64 [k] all images, and int64 [k] those of high quality.
    """
    k = logits.shape[1]
    everything = torch.zeros(k, dtype=torch.int64, device=logits.device)
    good = torch.zeros_like(everything)
    for chunk in torch.split(logits, _CHUNK):
        best, mode = chunk.max(1)
        everything += torch.bincount(mode, minlength=k)
        good += torch.bincount(mode[best >= -(radius**2) / 2], minlength=k)
    return everything, good


def modes_covered(good: Tensor) -> int:
    """Returns the number of modes to which at least one image of high quality belongs.

    Srivastava et al. 2017, arXiv:1705.07761; Lin et al. 2018, arXiv:1712.04086.
    """
    return int((good > 0).sum())


def high_quality_share(everything: Tensor, good: Tensor) -> float:
    """Returns the share of images of high quality, in [0, 1]."""
    return float(good.sum() / everything.sum())


def mode_divergence(fake: Tensor, real: Tensor) -> float:
    """Returns KL(fake || real) of two histograms over modes, in nats, 0 for equal shares.

    All images count, by the mode they are nearest to: the reverse divergence of PacGAN's tables.
    A mode that no real image fell into counts as half a real image, which keeps it finite.

    Args:
        fake: [k] counts.
        real: [k] counts.
    """
    p = fake.double() / fake.sum()
    counts = real.double().clamp(min=0.5)
    q = counts / counts.sum()
    return max(float(torch.xlogy(p, p / q).sum()), 0.0)
