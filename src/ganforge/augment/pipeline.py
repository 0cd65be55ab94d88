from __future__ import annotations

from typing import Any, TypedDict

import torch
from torch import Tensor

from ganforge.augment.augmentation import Augmentation
from ganforge.augment.geometric import blit, compose, deform, is_identity
from ganforge.augment.recolouring import apply_colours, recolour
from ganforge.augment.resampling import Resampler
from ganforge.errors import ConfigError, require
from ganforge.streams import Noise


class PipelineParts(TypedDict, total=False):
    """Arguments of AugmentationPipeline, except its probability."""

    blit: bool
    geometry: bool
    colour: bool


class AugmentationPipeline(Augmentation):
    """A pipeline of augmentations, each applied with the same probability p to each image.

    Karras et al. 2020, arXiv:2006.06676, appendix B, the pipeline "bgc". While p stays well below
    1, the discriminator can detect a generator that imitates the augmentations, so they do not leak
    into generated images. An image for which no augmentation was drawn is returned unchanged, and
    at p = 0 no random numbers are drawn.

    Args:
        p: probability of each augmentation.
        blit: mirror, rotate by right angles and shift by whole pixels.
        geometry: scale, rotate, stretch and shift.
        colour: brightness, contrast, luma flip, hue and saturation. Gray images only have luma.
    """

    p: Tensor

    def __init__(
        self, p: float = 0.0, *, blit: bool = True, geometry: bool = True, colour: bool = True
    ) -> None:
        super().__init__()
        check_probability(type(self).__name__, "p", p)
        self.blit = blit
        self.geometry = geometry
        self.colour = colour
        self.resampler = Resampler()
        self.register_buffer("p", torch.tensor(float(p)))
        # Whether p is 0, cached on the host: reading p from a GPU would synchronize with it.
        self._idle: bool | None = None

    def forward(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns augmented images [B, C, H, W], no longer bounded by [-1, 1].

        Computed in float32. Differentiable any number of times with respect to the images.
        """
        self._check_size(*images.shape[2:])
        if self.phase():
            return images
        # In bfloat16, positions in the image would only be accurate to a pixel or two.
        with torch.autocast(images.device.type, enabled=False):
            changed = images.to(torch.promote_types(images.dtype, torch.float32))
            changed = self._moved(changed, noise)
            if self.colour:
                changed = apply_colours(changed, recolour(noise, self.p).to(changed.dtype))
        return changed.to(images.dtype)

    def phase(self) -> bool:
        """Returns whether p is 0, so that nothing is augmented."""
        if self._idle is None:
            self._idle = bool(self.p == 0)
        return self._idle

    def values(self) -> dict[str, Tensor]:
        """Returns p."""
        return {"p": self.p}

    def set_probability(self, p: Tensor | float) -> None:
        """Sets p in place."""
        self.p.fill_(p)
        self._idle = None if isinstance(p, Tensor) else p == 0

    def _check_size(self, height: int, width: int) -> None:
        """Rejects sides of 1 even at p = 0, so that a run does not fail only once p rises."""
        if (self.blit or self.geometry) and min(height, width) < 2:
            raise ConfigError(
                f"{type(self).__name__}: images of {height} x {width} pixels cannot be moved. Use "
                "augment=none"
            )

    def _moved(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns images after all blitting and geometric changes, in a single resampling."""
        if not (self.blit or self.geometry):
            return images
        size = (images.shape[2], images.shape[3])
        movements = [blit(noise, self.p, *size)] if self.blit else []
        movements += [deform(noise, self.p, *size)] if self.geometry else []
        origins = compose(*movements)
        moved = self.resampler(images, origins)
        return torch.where(is_identity(origins)[:, None, None, None], images, moved)

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        super()._load_from_state_dict(*args, **options)
        self._idle = None


def check_probability(owner: str, name: str, p: float) -> None:
    """Raises ConfigError unless ``p`` is in [0, 1]."""
    require(0 <= p <= 1, f"{owner}: {name} must be in [0, 1], got {p}")
