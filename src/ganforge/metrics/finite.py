from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import ConfigError, DivergenceError

# Half a step of a byte: what is closer to [-1, 1] rounds to the same images as the end of it.
SLACK = 0.5 / 127.5


class FiniteImages:
    """Counts generated images that hold NaN or infinite values, or values out of range.

    Counted to the end, then over all processes: one that stopped alone would hang the rest.

    Args:
        device: where images are looked at.
        bounded: whether values belong to [-1, 1], as those of images do and of points don't.
    """

    def __init__(self, device: torch.device, bounded: bool = False) -> None:
        self.bounded = bounded
        self._faulty = torch.zeros(2, dtype=torch.int64, device=device)

    def __call__(self, images: Tensor) -> Tensor:
        """Returns images [n, C, H, W] as finite float32 ones, and remembers those that were not.

        Bytes are returned as they are.
        """
        if images.dtype == torch.uint8:
            return images
        images = images.to(self._faulty.device)
        flat = images.flatten(1)
        self._faulty[0] += (~flat.isfinite().all(1)).sum()
        if self.bounded:
            self._faulty[1] += (flat.abs().amax(1) > 1 + SLACK).sum()
        return images.float().nan_to_num()

    def conclude(self, world: int = 1) -> None:
        """Raises on all ``world`` processes when images of any of them can't be scored.

        Raises:
            DivergenceError: values that are not finite.
            ConfigError: values outside [-1, 1].
        """
        if world > 1 and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self._faulty)
        endless, outside = self._faulty.tolist()
        if endless:
            raise DivergenceError(
                f"{endless} generated images hold NaN or infinite values and can't be scored: "
                "training has diverged; try a lower learning rate or another precision"
            )
        if outside:
            raise ConfigError(
                f"{outside} generated images have values outside [-1, 1], where scores expect "
                "them: end the generator with tanh, or clamp its images in evaluation mode"
            )
