from __future__ import annotations

import torch
from torch import Tensor

from ganforge.augment.shift import translate
from ganforge.errors import ConfigError
from ganforge.regularizers.context import Turn
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise


class Consistency(Regularizer):
    """E[(D(x) - D(T(x)))^2] at reals: what leaves the meaning of an image leaves its logit.

    CR of Zhang et al. 2020, arXiv:1910.12027. T shifts an image by a few pixels and may mirror it;
    it is drawn anew for each image. Where the game has an augmentation too, each of the two images
    is augmented with draws of its own.

    Args:
        weight: the paper's lambda.
        every: apply at every n-th update of the discriminator, n times as strongly.
        shift: largest shift in each direction, in pixels.
        flip: whether T mirrors half of the images; not for digits and letters.
    """

    def __init__(
        self, weight: float = 10.0, every: int = 1, shift: int = 4, flip: bool = True
    ) -> None:
        super().__init__(weight, every)
        if shift < 0:
            raise ConfigError(f"{type(self).__name__}: shift must be at least 0, got {shift}")
        if shift == 0 and not flip:
            raise ConfigError(
                f"{type(self).__name__}: shift=0 and flip=false leave every image as it is"
            )
        self.shift = shift
        self.flip = flip

    def term(self, turn: Turn) -> Tensor:
        """Returns the mean squared difference of logits at reals, a scalar."""
        return self.change(turn, turn.real_images, turn.real_logits)

    def change(self, turn: Turn, images: Tensor, logits: Tensor | None) -> Tensor:
        """Returns E[(D(x) - D(T(x)))^2], a scalar.

        Args:
            turn: the discriminator's.
            images: x [B, C, H, W] in [-1, 1], as they are.
            logits: D(x), [B].
        """
        if logits is None:
            logits = turn.critic(turn.augment(images))
        changed = move_slightly(images, turn.noise, self.shift, self.flip)
        return (logits - turn.critic(turn.augment(changed))).square().mean()


def move_slightly(images: Tensor, noise: Noise, shift: int, flip: bool) -> Tensor:
    """Returns square images [B, C, H, H], each shifted by up to ``shift`` pixels, half mirrored."""
    if flip:
        mirrored = noise.integers(2, 1, 1, 1) == 1
        images = torch.where(mirrored, images.flip(3), images)
    return translate(images, noise, shift / images.shape[-1]) if shift > 0 else images
