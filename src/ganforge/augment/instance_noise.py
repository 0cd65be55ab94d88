from __future__ import annotations

from torch import Tensor

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError
from ganforge.streams import Noise


class InstanceNoise(Augmentation):
    """Adds Gaussian noise to reals and fakes alike:  x + scale * e,  e ~ N(0, I).

    Arjovsky & Bottou 2017, arXiv:1701.04862; Sonderby et al. 2017, arXiv:1610.04490. The two
    distributions overlap, so that the discriminator can't win by details too small to see, such as
    a background that is not quite black, and its gradient does not vanish.

    Args:
        scale: standard deviation, for images in [-1, 1].
    """

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        if scale < 0:
            raise ConfigError(f"InstanceNoise: scale must be at least 0, got {scale}")
        self.scale = scale

    def forward(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns noisy images [B, C, H, W], no longer bounded by [-1, 1]."""
        return images + self.scale * noise.normal(*images.shape[1:]).to(images.dtype)
