from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ganforge.streams import Noise


class Augmentation(nn.Module):
    """A differentiable change of images, applied to reals and fakes alike before they are judged.

    This one changes nothing.
    """

    def __init__(self) -> None:  # a signature for the configuration's check
        super().__init__()

    def forward(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns the images [B, C, H, W] in [-1, 1] as the discriminator is to see them.

        Args:
            images: [B, C, H, W] in [-1, 1].
            noise: random draws of this update, one row for each image.
        """
        return images

    def observe(self, real_logits: Tensor) -> None:
        """Takes note of how the discriminator judged real images in this step, [B] raw logits."""

    def adjust(self, images: int, images_seen: int, mean: Callable[[Tensor], Tensor]) -> None:
        """Adapts the augmentation after a step.

        What it adapts is a buffer, so that a resumed run goes on with it.

        Args:
            images: real images of this step, over all processes.
            images_seen: real images of all steps, this one included.
            mean: averages a tensor over all processes; to be called on all or on none.
        """

    def values(self) -> dict[str, Tensor]:
        """Returns scalars worth logging, by name."""
        return {}
