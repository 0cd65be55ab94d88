from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import DivergenceError


class FiniteImages:
    """Counts generated images that hold NaN or infinite values.

    Counted to the end, then over all processes: one that stopped alone would hang the rest.

    Args:
        device: where images are looked at.
    """

    def __init__(self, device: torch.device) -> None:
        self._faulty = torch.zeros((), dtype=torch.int64, device=device)

    def __call__(self, images: Tensor) -> Tensor:
        """Returns images [n, C, H, W] as finite float32 ones, and remembers those that were not."""
        images = images.to(self._faulty.device)
        self._faulty += (~images.isfinite().flatten(1).all(1)).sum()
        return images.float().nan_to_num()

    def conclude(self, world: int = 1) -> None:
        """Raises DivergenceError on all ``world`` processes when an image of any was not finite."""
        if world > 1 and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self._faulty)
        if self._faulty > 0:
            raise DivergenceError(
                f"{int(self._faulty)} generated images hold NaN or infinite values and can't be "
                "scored: training has diverged; try a lower learning rate or another precision"
            )
