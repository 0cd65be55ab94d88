from __future__ import annotations

from typing import TypedDict, Unpack

import torch
from torch import Tensor

from ganforge.augment.shift import translate
from ganforge.errors import require
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise


class ConsistencyParts(TypedDict, total=False):
    """Arguments of Consistency."""

    weight: float
    every: int
    shift: int
    flip: bool
    precision: str


class Consistency(Regularizer):
    """E[(D(x) - D(T(x)))^2] at reals: semantic-preserving transforms should not change the logit.

    CR of Zhang et al. 2020, arXiv:1910.12027. T shifts an image by a few pixels and may mirror it;
    it is drawn independently for each image. If the model also has an augmentation, x and T(x) are
    augmented independently.

    Args:
        weight: the paper's lambda.
        every: apply at every n-th update of the discriminator, n times as strongly.
        shift: largest shift in each direction, in pixels.
        flip: whether T mirrors half of the images; not for digits and letters.
        precision: see Regularizer.
    """

    second_order = False

    def __init__(
        self,
        weight: float = 10.0,
        every: int = 1,
        shift: int = 4,
        flip: bool = True,
        precision: str = "float32",
    ) -> None:
        super().__init__(weight, every, precision)
        name = type(self).__name__
        require(shift >= 0, f"{name}: shift must be at least 0, got {shift}")
        require(shift > 0 or flip, f"{name}: shift=0 and flip=false do not change any image")
        self.shift = shift
        self.flip = flip

    def term(self, context: UpdateContext) -> Tensor:
        """Returns the mean squared difference of logits at reals, a scalar."""
        return self.change(context, context.real_images, context.real_logits)

    def change(self, context: UpdateContext, images: Tensor, logits: Tensor | None) -> Tensor:
        """Returns E[(D(x) - D(T(x)))^2], a scalar.

        Args:
            context: the discriminator's update.
            images: x [B, C, H, W] in [-1, 1], not augmented.
            logits: D(x), [B]; computed if None.
        """
        if logits is None:
            logits = context.critic(context.augment(images))
        changed = move_slightly(images, context.noise, self.shift, self.flip)
        return (logits - context.critic(context.augment(changed))).square().mean()


def move_slightly(images: Tensor, noise: Noise, shift: int, flip: bool) -> Tensor:
    """Returns square images [B, C, H, H], shifted by up to ``shift`` pixels, half of them mirrored.

    Args:
        images: [B, C, H, H].
        noise: random draws, one row per image.
        shift: largest shift in each direction, in pixels.
        flip: whether to mirror each image with probability 1/2.
    """
    if flip:
        mirrored = noise.integers(2, 1, 1, 1) == 1
        images = torch.where(mirrored, images.flip(3), images)
    return translate(images, noise, shift / images.shape[-1]) if shift > 0 else images


class BalancedConsistency(Consistency):
    """E[(D(x) - D(T(x)))^2] at real images, plus the same at generated images.

    bCR of Zhao et al. 2021, arXiv:2002.04724. If only reals are transformed, as in CR, the
    generator learns to generate transformed images. Together with
    :class:`~ganforge.regularizers.LatentConsistency` and
    :class:`~ganforge.regularizers.LatentDiversity` it is the paper's ICR.

    Args:
        fake: weight of the term at generated images relative to that at reals: the paper's
            lambda_fake / lambda_real.
        **parts: see Consistency; its ``weight`` is the paper's lambda_real.
    """

    def __init__(self, *, fake: float = 1.0, **parts: Unpack[ConsistencyParts]) -> None:
        super().__init__(**parts)
        require(fake >= 0, f"BalancedConsistency: fake must be at least 0, got {fake}")
        self.fake = fake

    def term(self, context: UpdateContext) -> Tensor:
        """Returns the mean squared difference of logits at reals plus that at fakes, a scalar."""
        at_fakes = self.change(context, context.fake_images, context.fake_logits)
        return super().term(context) + self.fake * at_fakes
