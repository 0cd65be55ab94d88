"""Statistics of how generated images are distributed over the known modes of a distribution.

All of them are computed from logits [B, k], one column per mode; an image belongs to the mode with
the highest logit. For Gaussians of standard deviation s, the logits are -d^2 / (2 s^2) with the
distance d to each centre. The highest logit is then that of the nearest centre, and is at least
-r^2 / 2 within r standard deviations of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK = 4096


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
    for chunk in torch.split(logits, _CHUNK):
        best, mode = chunk.max(1)
        everything += torch.bincount(mode, minlength=k)
        good += torch.bincount(mode[best >= -(radius**2) / 2], minlength=k)
    return everything, good


def modes_covered(good: Tensor) -> int:
    """Returns the number of modes with at least one high-quality image.

    Srivastava et al. 2017, arXiv:1705.07761; Lin et al. 2018, arXiv:1712.04086.
    """
    return int((good > 0).sum())


def high_quality_share(everything: Tensor, good: Tensor) -> float:
    """Returns the share of high-quality images, in [0, 1]."""
    return float(good.sum() / everything.sum())


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
