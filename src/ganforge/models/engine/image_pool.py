from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.streams import Noise


class ImagePool:
    """History of generated images, which replace some of the discriminator's new fakes.

    Shrivastava et al. 2017, arXiv:1612.07828, as used by Zhu et al. 2017, arXiv:1703.10593: until
    the pool is full, it stores every image and returns it. After that, an image is swapped with a
    random image of the pool with probability 1/2, and returned unchanged otherwise.

    Args:
        size: capacity in images; 0 returns every image unchanged.
    """

    def __init__(self, size: int = 50) -> None:
        if size < 0:
            raise ConfigError(f"pool_size must be at least 0, got {size}")
        self.size = size
        self.images: list[Tensor] = []

    def query(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns images [B, C, H, W], some of them replaced by earlier ones.

        Args:
            images: new images [B, C, H, W], detached.
            noise: random draws, one row for each image.
        """
        if self.size == 0:
            return images
        exchanged = (noise.uniform() < 0.5).tolist()
        places = noise.integers(self.size).tolist()
        shown = [
            self._exchange(*one) for one in zip(images.clone(), exchanged, places, strict=True)
        ]
        return torch.stack(shown)

    def state(self) -> Tensor | None:
        """Returns the images of the pool, [N, C, H, W] on the CPU; None if it is empty."""
        return torch.stack(self.images).cpu() if self.images else None

    def restore(self, state: Tensor | None, device: torch.device) -> None:
        """Restores the result of :meth:`state`; images that exceed ``size`` are dropped."""
        self.images = [] if state is None else list(state[: self.size].to(device))

    def _exchange(self, image: Tensor, exchanged: bool, place: int) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image)
            return image
        if not exchanged:
            return image
        self.images[place], shown = image, self.images[place]
        return shown
