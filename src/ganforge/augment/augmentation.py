from __future__ import annotations

from collections.abc import Callable, Hashable

from torch import Tensor, nn

from ganforge.streams import Noise


class Augmentation(nn.Module):
    """Base class of differentiable augmentations of the discriminator's real and fake inputs.

    This class returns the images unchanged.
    """

    def __init__(self) -> None:  # gives the configuration check an exact signature
        super().__init__()

    def forward(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns the augmented images [B, C, H, W].

        Args:
            images: [B, C, H, W] in [-1, 1].
            noise: random draws of this update, one row per image.
        """
        return images

    def phase(self) -> Hashable:
        """Returns what decides on the operations of :meth:`forward`; here they never change."""
        return None

    def tensor_functions(self) -> list[nn.Module]:
        """Returns the parts that draw no numbers and read none, which can be compiled."""
        return []

    def observe(self, real_logits: Tensor) -> None:
        """Records the raw logits [B] of real images in this step, for adaptive augmentations."""

    def adjust(self, images: int, images_seen: int, mean: Callable[[Tensor], Tensor]) -> None:
        """Adapts the augmentation after a step.

        Subclasses keep the adapted state in buffers, so that a resumed run restores it.

        Args:
            images: real images of this step, over all processes.
            images_seen: real images of all steps, including this one.
            mean: averages a tensor over all processes. A collective: call it on all or on none.
        """

    def values(self) -> dict[str, Tensor]:
        """Returns the scalars to log, by name."""
        return {}
