from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.augment.changes import BLIT, COLOUR, GEOMETRY, MOVEMENTS, Amounts, draw
from ganforge.augment.geometric import Movements
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
        parts = {BLIT: blit, GEOMETRY: geometry, COLOUR: colour}
        self.changer = Changer([name for names, used in parts.items() if used for name in names])
        self.register_buffer("p", torch.tensor(float(p)))
        # Whether p is 0, cached on the host: reading p from a GPU would synchronize with it.
        self._idle: bool | None = None
        self._least = 0.0  # p is at least as large

    def phase(self) -> bool:
        """Returns whether p is 0, so that nothing is augmented; may read p from the device."""
        return self._is_idle()

    def forward(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns augmented images [B, C, H, W], no longer bounded by [-1, 1].

        Computed in float32. Differentiable any number of times with respect to the images.
        """
        self._check_size(*images.shape[2:])
        if self._is_idle():
            return images
        numbers, chances = draw(noise, self.changer.names)
        # In bfloat16, positions in the image would only be accurate to a pixel or two.
        with torch.autocast(images.device.type, enabled=False):
            precise = images.to(torch.promote_types(images.dtype, torch.float32))
            changed: Tensor = self.changer(precise, numbers, chances, self.p)
        return changed.to(images.dtype)

    def tensor_functions(self) -> list[nn.Module]:
        """Returns the part that changes images by numbers that were drawn before."""
        return [self.changer]

    def values(self) -> dict[str, Tensor]:
        """Returns p."""
        return {"p": self.p}

    def set_probability(self, p: Tensor | float, fall: float = math.inf) -> None:
        """Sets p in place.

        Args:
            p: the probability.
            fall: a bound of how much lower it is than before. While p cannot have fallen to 0, a
                tensor is not read from its device.
        """
        self.p.fill_(p)
        if isinstance(p, Tensor):
            # With a margin for rounding: p is added up in float32.
            self._least -= 1.001 * fall + 1e-6
            self._idle = False if self._least > 0 else None
        else:
            self._least, self._idle = p, p == 0

    def _is_idle(self) -> bool:
        if self._idle is None:
            self._least = float(self.p)
            self._idle = self._least == 0
        return self._idle

    def _check_size(self, height: int, width: int) -> None:
        """Rejects sides of 1 even at p = 0, so that a run does not fail only once p rises."""
        if self.changer.moves and min(height, width) < 2:
            raise ConfigError(
                f"{type(self).__name__}: images of {height} x {width} pixels cannot be moved. Use "
                "augment=none"
            )

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        super()._load_from_state_dict(*args, **options)
        self._idle, self._least = None, 0.0


class Changer(nn.Module):
    """Changes images by numbers that were drawn before: a function of tensors alone.

    Args:
        names: the changes, keys of :data:`ganforge.augment.changes.CHANGES`.
    """

    def __init__(self, names: Collection[str]) -> None:
        super().__init__()
        self.names = names
        self.moves = any(name in names for name in (*BLIT, *GEOMETRY))
        self.colours = any(name in names for name in COLOUR)
        self.amounts = Amounts()
        self.movements = Movements()
        self.resampler = Resampler()

    def forward(self, images: Tensor, numbers: Tensor, chances: Tensor, p: Tensor) -> Tensor:
        """Returns the changed images [B, C, H, W].

        Args:
            images: [B, C, H, W], float32 or float64.
            numbers: see :func:`ganforge.augment.changes.draw`.
            chances: see there.
            p: probability of each change, a scalar.
        """
        amounts = self.amounts(numbers, chances, p)
        if self.moves:
            origins = self.movements(amounts[:MOVEMENTS], images.shape[2], images.shape[3])
            still = self.movements.unmoved(origins)[:, None, None, None]
            images = torch.where(still, images, self.resampler(images, origins))
        if self.colours:
            colours = recolour(amounts[MOVEMENTS:])
            images = apply_colours(images, colours.to(images.dtype))
        return images


def check_probability(owner: str, name: str, p: float) -> None:
    """Raises ConfigError unless ``p`` is in [0, 1]."""
    require(0 <= p <= 1, f"{owner}: {name} must be in [0, 1], got {p}")
