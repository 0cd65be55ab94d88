from __future__ import annotations

from torch import Tensor

from ganforge.augment.augmentation import Augmentation
from ganforge.augment.shift import translate
from ganforge.errors import require
from ganforge.streams import Noise


class InstanceNoise(Augmentation):
    """Adds Gaussian noise to both reals and fakes:  x + scale * e,  e ~ N(0, I).

    Arjovsky & Bottou 2017, arXiv:1701.04862; Sonderby et al. 2017, arXiv:1610.04490. The two
    distributions then overlap, so the discriminator cannot win by invisible details, such as a
    background that is not quite black, and its gradient does not vanish.

    Each image may also be shifted at random (the translation of Zhao et al. 2020,
    arXiv:2006.10738), which keeps the discriminator from memorizing a small data set.

    Args:
        scale: standard deviation, for images in [-1, 1].
        shift: largest shift in each direction, as a fraction of the image's side; 0 for none.
    """

    def __init__(self, scale: float = 0.1, shift: float = 0.0) -> None:
        super().__init__()
        require(scale >= 0, f"InstanceNoise: scale must be at least 0, got {scale}")
        require(0 <= shift < 1, f"InstanceNoise: shift must be in [0, 1), got {shift}")
        self.scale = scale
        self.shift = shift

    def forward(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns noisy images [B, C, H, W], no longer bounded by [-1, 1]."""
        if self.shift > 0:
            images = translate(images, noise, self.shift)
        return images + self.scale * noise.normal(*images.shape[1:]).to(images.dtype)
