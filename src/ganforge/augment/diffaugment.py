from __future__ import annotations

import torch
from torch import Tensor

from ganforge.augment.augmentation import Augmentation
from ganforge.augment.shift import check_padding, translate
from ganforge.errors import require
from ganforge.streams import Noise


class DiffAugment(Augmentation):
    """Differentiable augmentation, drawn independently for each image.

    Zhao et al. 2020, arXiv:2006.10738: reals and fakes are augmented in the updates of both
    players, and the generator's gradient passes through. Images may have any number of channels;
    with one channel, saturation has no effect.

    Args:
        colour: whether to change brightness, saturation and contrast.
        translation: largest shift in each direction, as a fraction of the side; 0 for none.
        cutout: sides of a rectangle set to mid-gray, as a fraction of the image's; 0 for none.
        padding: values outside of shifted images: "zeros" for mid-gray, as in the paper, or
            "replicate" for the border's values, which suits images with a plain background.
    """

    def __init__(
        self,
        colour: bool = True,
        translation: float = 0.125,
        cutout: float = 0.5,
        padding: str = "zeros",
    ) -> None:
        super().__init__()
        for name, share in {"translation": translation, "cutout": cutout}.items():
            require(0 <= share < 1, f"DiffAugment: {name} must be in [0, 1), got {share}")
        check_padding("DiffAugment", padding)
        self.colour = colour
        self.translation = translation
        self.cutout = cutout
        self.padding = padding

    def forward(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns augmented images [B, C, H, W], no longer bounded by [-1, 1]."""
        if self.colour:
            images = change_brightness(images, noise)
            images = change_saturation(images, noise)
            images = change_contrast(images, noise)
        if self.translation > 0:
            images = translate(images, noise, self.translation, self.padding)
        if self.cutout > 0:
            images = cut_out(images, noise, self.cutout)
        return images


def change_brightness(images: Tensor, noise: Noise) -> Tensor:
    """Adds one number from U[-0.5, 0.5) to all values of an image [C, H, W] in [-1, 1]."""
    return images + (_draw(images, noise) - 0.5)


def change_saturation(images: Tensor, noise: Noise) -> Tensor:
    """Multiplies each pixel's distance from its gray by one factor from U[0, 2).

    The gray is the mean of the channels. Images of one channel are returned unchanged.

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


def cut_out(images: Tensor, noise: Noise, share: float) -> Tensor:
    """Sets a rectangle of each image to 0 (mid-gray), with sides of ``share`` times the image's.

    DeVries & Taylor 2017, arXiv:1708.04552, as used by Zhao et al. 2020, arXiv:2006.10738: the
    rectangle's center is uniform over the image, so part of it may be outside.

    Args:
        images: [B, C, H, W].
        noise: random draws, one row per image.
        share: side of the rectangle, as a fraction of the image's side.
    """
    rows = _covered(images.shape[2], share, noise, images.device)
    columns = _covered(images.shape[3], share, noise, images.device)
    cut = rows[:, None, :, None] & columns[:, None, None, :]  # [B, 1, H, W]
    return images.masked_fill(cut, 0.0)


def _covered(side: int, share: float, noise: Noise, device: torch.device) -> Tensor:
    """Returns a mask of the rows (or columns) that the rectangle covers, bool [B, side]."""
    length = round(side * share)
    # An even length has its center between two pixels, which gives one more possible position.
    centre = noise.integers(side + 1 - length % 2)
    distance = torch.arange(side, device=device) - (centre - length // 2)[:, None]
    return (distance >= 0) & (distance < length)
