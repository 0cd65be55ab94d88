from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.networks.layers.progressive import double, halve


class Growth:
    """When a game grows, and what it takes at each size: pure functions of the images seen.

    Karras et al. 2018, arXiv:1710.10196, section 2 and appendix A: the networks begin at
    ``start_size`` and learn there from ``stable_images`` real images; over the next
    ``fade_images`` the stage of twice that size is faded in; both are repeated up to the full
    size, which is kept. Level 0 is 4x4, 1 is 8x8, and 2.3 is 16x16 with 0.3 of 32x32.

    Args:
        image_size: side of the full images: 4, 8, ... 1024.
        start_size: side at the start; ``image_size`` for a game that does not grow.
        stable_images: real images at each size before the next one comes.
        fade_images: real images during which that is faded in; 0 for at once.
        batch_sizes: images of one critic update at 4x4, 8x8, ..., over all processes; the last
            one also holds beyond. None or empty takes those of the data.
        learning_rate_factors: of both players, at 4x4, 8x8, ...; the last one also holds beyond.
            None or empty for 1.
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
        if fade_images < 0:
            raise ConfigError(f"Growth: fade_images must be at least 0, got {fade_images}")
        if any(size < 1 for size in batch_sizes or ()):
            raise ConfigError(f"Growth: batch_sizes must be at least 1, got {batch_sizes}")
        if any(not factor > 0 for factor in learning_rate_factors or ()):
            raise ConfigError(
                f"Growth: learning_rate_factors must be above 0, got {learning_rate_factors}"
            )
        self.image_size = image_size
        self.start_size = start_size
        self.stable_images = stable_images
        self.fade_images = fade_images
        self.batch_sizes = list(batch_sizes or ())
        self.learning_rate_factors = list(learning_rate_factors or ())

    @property
    def images(self) -> int:
        """Real images until the full size is reached and no longer faded."""
        stages = stage_of(self.image_size) - stage_of(self.start_size)
        return stages * (self.stable_images + self.fade_images)

    def level_at(self, images_seen: int) -> float:
        """Returns the level after so many real images."""
        if images_seen >= self.images:
            return float(stage_of(self.image_size))
        grown, images = divmod(images_seen, self.stable_images + self.fade_images)
        fading = max(images - self.stable_images, 0)
        alpha = fading / self.fade_images if fading > 0 else 0.0
        return stage_of(self.start_size) + grown + alpha

    def size_at(self, images_seen: int) -> int:
        """Returns the side of the images that are made and judged."""
        return size_of(self.level_at(images_seen))

    def batch_size_at(self, images_seen: int, otherwise: int) -> int:
        """Returns the images of one critic update; ``otherwise`` where none are set."""
        return int(_entry(self.batch_sizes, self.size_at(images_seen), otherwise))

    def learning_rate_factor_at(self, images_seen: int) -> float:
        """Returns what the learning rates are multiplied by."""
        return float(_entry(self.learning_rate_factors, self.size_at(images_seen), 1.0))

    def all_batch_sizes(self, otherwise: int) -> list[int]:
        """Returns the images of one critic update at each size from the first to the full one."""
        sides = [4 << k for k in range(stage_of(self.start_size), stage_of(self.image_size) + 1)]
        return [int(_entry(self.batch_sizes, side, otherwise)) for side in sides]


def stage_of(size: int) -> int:
    """Returns the level of images of a side: 0 for 4."""
    return size.bit_length() - 3


def size_of(level: float) -> int:
    """Returns the side of the images at a level, that of the stage which is faded in."""
    return 4 << math.ceil(level)


def reals_at(images: Tensor, level: float) -> Tensor:
    """Returns real images as the networks of a level would make them.

    Means over squares of pixels; while a stage is faded in, so are the details that it can show
    and the one below can not.

    Args:
        images: [B, C, S, S] of full size.
        level: from 0 to that of S.

    Returns:
        [B, C, 4 * 2^stage, 4 * 2^stage], where stage is the level rounded up.
    """
    factor = images.shape[-1] // size_of(level)
    shown = F.avg_pool2d(images, factor) if factor > 1 else images
    alpha = level - math.floor(level)
    return torch.lerp(double(halve(shown)), shown, alpha) if alpha > 0 else shown


def _check_size(argument: str, size: int, largest: int) -> None:
    if size not in (legal := [4 << k for k in range(stage_of(largest) + 1)]):
        known = ", ".join(map(str, legal))
        raise ConfigError(f"Growth: {argument} must be one of {known}; got {size}")


def _entry(entries: Sequence[float], size: int, otherwise: float) -> float:
    """Returns the entry for images of a side, in a list for 4x4, 8x8, ..."""
    return entries[min(stage_of(size), len(entries) - 1)] if entries else otherwise
