"""The colour changes of Zhao et al. 2020, arXiv:2006.10738, with one draw per image."""

from __future__ import annotations

from torch import Tensor

from ganforge.streams import Noise


def change_brightness(images: Tensor, noise: Noise) -> Tensor:
    """Adds one number from U[-0.5, 0.5) to all values of an image [C, H, W] in [-1, 1]."""
    return images + (_draw(images, noise) - 0.5)


def change_saturation(images: Tensor, noise: Noise) -> Tensor:
    """Multiplies each pixel's distance from its grey by one factor from U[0, 2).

    The grey is the mean of the channels. Images of one channel are returned unchanged.

    Args:
        images: [B, C, H, W].
        noise: random draws, one row per image.
    """
    if images.shape[1] == 1:
        return images
    grey = images.mean(1, keepdim=True)
    return (images - grey) * (2 * _draw(images, noise)) + grey


def change_contrast(images: Tensor, noise: Noise) -> Tensor:
    """Multiplies each value's distance from its image's mean by one factor from U[0.5, 1.5)."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (_draw(images, noise) + 0.5) + mean


def _draw(images: Tensor, noise: Noise) -> Tensor:
    """Returns [B, 1, 1, 1] from U[0, 1)."""
    return noise.uniform(1, 1, 1).to(images.dtype)
