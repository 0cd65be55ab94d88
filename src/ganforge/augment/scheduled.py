from __future__ import annotations

import math
from collections.abc import Callable
from typing import Unpack

from torch import Tensor

from ganforge.augment.pipeline import AugmentationPipeline, PipelineParts, check_probability
from ganforge.errors import require


class ScheduledAugmentation(AugmentationPipeline):
    """The pipeline of ADA with a probability that follows a cosine, as in R3GAN.

    Huang et al. 2024, arXiv:2501.05441: p goes from ``initial`` to ``final`` over ``images`` real
    images and stays there. It needs no measure of overfitting, so it also works with relativistic
    losses, whose logits have no origin.

    Args:
        initial: probability at the start.
        final: probability at the end.
        images: real images over which p changes.
        **parts: see AugmentationPipeline.
    """

    def __init__(
        self,
        initial: float = 0.0,
        final: float = 0.55,
        images: int = 20_000_000,
        **parts: Unpack[PipelineParts],
    ) -> None:
        for name, p in {"initial": initial, "final": final}.items():
            check_probability("ScheduledAugmentation", name, p)
        require(images >= 1, f"ScheduledAugmentation: images must be at least 1, got {images}")
        super().__init__(initial, **parts)
        self.initial = initial
        self.final = final
        self.images = images

    def adjust(self, images: int, images_seen: int, mean: Callable[[Tensor], Tensor]) -> None:
        """Sets p to the schedule's value after ``images_seen`` images."""
        passed = min(images_seen / self.images, 1.0)
        share = (1 - math.cos(math.pi * passed)) / 2
        self.set_probability(self.initial + share * (self.final - self.initial))
