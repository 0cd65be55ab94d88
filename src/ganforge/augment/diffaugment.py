from __future__ import annotations

from torch import Tensor

from ganforge.augment.augmentation import Augmentation
from ganforge.augment.colour import change_brightness, change_contrast, change_saturation
from ganforge.augment.cutout import cut_out
from ganforge.augment.shift import check_padding, translate
from ganforge.errors import ConfigError
from ganforge.streams import Noise


class DiffAugment(Augmentation):
    """Differentiable augmentation, drawn independently for each image.

    Zhao et al. 2020, arXiv:2006.10738: reals and fakes are augmented in the updates of both
    players, and the generator's gradient passes through. Images may have any number of channels;
    with one channel, saturation has no effect.

    Args:
        colour: whether to change brightness, saturation and contrast.
        translation: largest shift in each direction, as a fraction of the side; 0 for none.
        cutout: sides of a rectangle set to mid-grey, as a fraction of the image's; 0 for none.
        padding: values outside of shifted images: "zeros" for mid-grey, as in the paper, or
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
            if not 0 <= share < 1:
                raise ConfigError(
                    f"DiffAugment: {name} must be at least 0 and below 1, got {share}"
                )
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
