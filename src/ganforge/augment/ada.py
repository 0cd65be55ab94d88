from __future__ import annotations

import math
from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from ganforge.augment.pipeline import AugmentationPipeline, PipelineParts
from ganforge.errors import ConfigError, require


class ADA(AugmentationPipeline):
    """Adaptive discriminator augmentation: adapts its strength to how much D overfits.

    Karras et al. 2020, arXiv:2006.06676. The overfitting measure is r = E[sign D(x)] at reals: if r
    is above the target, the discriminator overfits and p rises; below the target p falls. Every few
    steps, p changes by the number of images since the last adjustment divided by ``speed``.

    The sign means "classified real" only if logits have a fixed origin. Under the Wasserstein and
    relativistic losses they have none and may drift, and p with them: fix p (``speed`` null), or
    use :class:`~ganforge.augment.ScheduledAugmentation`, as R3GAN does.

    Args:
        p: probability at the start.
        target: target value of r.
        speed: images in which p would rise from 0 to 1; None keeps p constant.
        every: steps between two adjustments.
        **parts: see AugmentationPipeline.
    """

    real_sign: Tensor
    tally: Tensor
    signs: Tensor

    def __init__(
        self,
        p: float = 0.0,
        target: float = 0.6,
        speed: int | None = 500_000,
        every: int = 4,
        **parts: Unpack[PipelineParts],
    ) -> None:
        super().__init__(p, **parts)
        require(-1 <= target <= 1, f"ADA: target must be in [-1, 1], got {target}")
        if speed is not None and speed < 1:
            raise ConfigError(f"ADA: speed must be at least 1 image or null, got {speed}")
        require(every >= 1, f"ADA: every must be at least 1, got {every}")
        self.target = target
        self.speed = speed
        self.every = every
        self.register_buffer("real_sign", torch.zeros(()))
        # Since the last adjustment: the weighted sum of signs at reals, and the number of images.
        self.register_buffer("tally", torch.zeros(2))
        # In this step: the sum of signs, and the number of logits.
        self.register_buffer("signs", torch.zeros(2), persistent=False)
        self._counted = math.inf  # images since the last adjustment; unknown after a restart

    def observe(self, real_logits: Tensor) -> None:
        """Accumulates the signs of the raw logits [B] of real images in this step."""
        signs = real_logits.float().sign().sum()
        self.signs += torch.stack([signs, torch.full_like(signs, real_logits.numel())])

    def adjust(self, images: int, images_seen: int, mean: Callable[[Tensor], Tensor]) -> None:
        """Adjusts p every ``every`` steps; arguments as in :meth:`Augmentation.adjust`."""
        # Reduced at each step, so that the buffer in a checkpoint holds the sum of all processes.
        sign, logits = mean(self.signs)
        # Without logits, 0 and 0: nothing is counted.
        self.tally += images * torch.stack([sign / logits.clamp(min=1), logits.clamp(max=1)])
        self.signs.zero_()  # after its use: one process gets its own tensor as the mean
        self._counted += images
        interval = self.every * images
        if images_seen // interval == (images_seen - images) // interval:
            return
        self.real_sign.copy_(self.tally[0] / self.tally[1].clamp(min=1))
        if self.speed is not None:
            step = torch.sign(self.real_sign - self.target) * self.tally[1] / self.speed
            self.set_probability((self.p + step).clamp(0, 1), self._counted / self.speed)
        self.tally.zero_()
        self._counted = 0

    def values(self) -> dict[str, Tensor]:
        """Returns p and r, the mean sign at reals, as of the last adjustment."""
        return {"p": self.p, "real_sign": self.real_sign}
