from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.streams import Noise


class ImagePool:
    """A history of generated images, from which the discriminator is shown a part.

    Shrivastava et al. 2017, arXiv:1612.07828, in the form of Zhu et al. 2017, arXiv:1703.10593:
    until it is full the pool keeps every image and returns it. Then an image is, with probability
    1/2, exchanged for one of the pool drawn at random, and else returned as it is.

    Args:
        size: images kept; 0 returns every image as it is.
    """

    def __init__(self, size: int = 50) -> None:
        if size < 0:
            raise ConfigError(f"pool_size must be at least 0, got {size}")
        self.size = size
        self.images: list[Tensor] = []

    def query(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns as many images [B, C, H, W]: new ones, and old ones in place of those kept.

        Args:
            images: new ones [B, C, H, W], detached.
            noise: a row for each image.
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
        """Returns the images of the pool [N, C, H, W], None for an empty one."""
        return torch.stack(self.images).cpu() if self.images else None

    def restore(self, state: Tensor | None, device: torch.device) -> None:
        """Takes back what :meth:`state` returned; of a larger pool, as many as fit."""
        self.images = [] if state is None else list(state[: self.size].to(device))

    def _exchange(self, image: Tensor, exchanged: bool, place: int) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image)
            return image
        if not exchanged:
            return image
        self.images[place], shown = image, self.images[place]
        return shown
