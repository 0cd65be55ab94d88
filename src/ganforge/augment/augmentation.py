from __future__ import annotations

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
