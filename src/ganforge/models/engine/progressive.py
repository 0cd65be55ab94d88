from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ConfigError, require
from ganforge.networks.layers.progressive import double, halve


class Growth:
    """Schedule of progressive growing: size, batch size and learning rate by images seen.

    Karras et al. 2018, arXiv:1710.10196, section 2 and appendix A: the networks start at
    ``start_size`` and train there on ``stable_images`` real images. Over the next ``fade_images``
    the stage of twice that size is faded in. Both phases repeat up to the full size. Level 0 is
    4x4, 1 is 8x8, and 2.3 is 16x16 with 0.3 of 32x32.

    Args:
        image_size: side of the full images: 4, 8, ... 1024.
        start_size: side at the start; equal to ``image_size`` for no growth.
        stable_images: real images at each size before the next one is faded in.
        fade_images: real images during which a size is faded in; 0 switches at once.
        batch_sizes: global batch sizes of one critic update at 4x4, 8x8, ...; the last one is also
            used for larger sizes. None or empty uses that of the data.
        learning_rate_factors: factors for both players at 4x4, 8x8, ...; the last one is also used
            for larger sizes. None or empty means 1.
    """

    def __init__(
        self,
        image_size: int,
        start_size: int = 4,
        stable_images: int = 600_000,
        fade_images: int = 600_000,
        batch_sizes: Sequence[int] | None = None,
        learning_rate_factors: Sequence[float] | None = None,
    ) -> None:
        _check_size("image_size", image_size, 1024)
        _check_size("start_size", start_size, image_size)
        if stable_images < 1:
            raise ConfigError(f"Growth: stable_images must be at least 1, got {stable_images}")
        require(fade_images >= 0, f"Growth: fade_images must be at least 0, got {fade_images}")
        self.image_size = image_size
        self.start_size = start_size
        self.stable_images = stable_images
        self.fade_images = fade_images
        self.batch_sizes = sizes = list(batch_sizes or ())
        self.learning_rate_factors = factors = list(learning_rate_factors or ())
        require(min(sizes, default=1) >= 1, f"Growth: batch_sizes must be at least 1, got {sizes}")
        require(
            all(factor > 0 for factor in factors),
            f"Growth: learning_rate_factors must be above 0, got {factors}",
        )

    @property
    def images(self) -> int:
        """Real images until the full size is completely faded in."""
        stages = stage_of(self.image_size) - stage_of(self.start_size)
        return stages * (self.stable_images + self.fade_images)

    def level_at(self, images_seen: int) -> float:
        """Returns the level after ``images_seen`` real images."""
        if images_seen >= self.images:
            return float(stage_of(self.image_size))
        grown, images = divmod(images_seen, self.stable_images + self.fade_images)
        fading = max(images - self.stable_images, 0)
        alpha = fading / self.fade_images if fading > 0 else 0.0
        return stage_of(self.start_size) + grown + alpha

    def size_at(self, images_seen: int) -> int:
        """Returns the side of the images that the networks generate and read."""
        return size_of(self.level_at(images_seen))

    def batch_size_at(self, images_seen: int, otherwise: int) -> int:
        """Returns the batch size of one critic update; ``otherwise`` if none is set."""
        return int(_entry(self.batch_sizes, self.size_at(images_seen), otherwise))

    def learning_rate_factor_at(self, images_seen: int) -> float:
        """Returns the factor of the learning rates."""
        return float(_entry(self.learning_rate_factors, self.size_at(images_seen), 1.0))

    def all_batch_sizes(self, otherwise: int) -> list[int]:
        """Returns the batch size of one critic update at each size, from first to full."""
        sides = [4 << k for k in range(stage_of(self.start_size), stage_of(self.image_size) + 1)]
        return [int(_entry(self.batch_sizes, side, otherwise)) for side in sides]


def stage_of(size: int) -> int:
    """Returns the level of images with side ``size``: 0 for 4, 1 for 8."""
    return size.bit_length() - 3


def size_of(level: float) -> int:
    """Returns the side of the images at a level; during a fade, that of the larger stage."""
    return 4 << math.ceil(level)


def reals_at(images: Tensor, level: float) -> Tensor:
    """Returns real images at the resolution of a level.

    Images are downsampled by average pooling. While a stage is faded in, the details that only
    this stage can represent are faded in too.

    Args:
        images: [B, C, S, S] of full size.
        level: between 0 and the level of S.

    Returns:
        [B, C, 4 * 2^stage, 4 * 2^stage], where stage is the level rounded up.
    """
    factor = images.shape[-1] // size_of(level)
    reals = F.avg_pool2d(images, factor) if factor > 1 else images
    alpha = level - math.floor(level)
    return torch.lerp(double(halve(reals)), reals, alpha) if alpha > 0 else reals


def _check_size(argument: str, size: int, largest: int) -> None:
    sizes = [4 << k for k in range(stage_of(largest) + 1)]
    options = ", ".join(map(str, sizes))
    require(size in sizes, f"Growth: {argument} must be one of {options}; got {size}")


def _entry(entries: Sequence[float], size: int, otherwise: float) -> float:
    """Returns the entry for images with side ``size`` from a list for 4x4, 8x8, ..."""
    return entries[min(stage_of(size), len(entries) - 1)] if entries else otherwise
