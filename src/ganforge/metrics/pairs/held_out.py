from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.data.images import to_float
from ganforge.full_precision import full_precision
from ganforge.metrics.evaluate import share_of
from ganforge.metrics.finite import FiniteImages
from ganforge.metrics.pairs.direction import Direction, TranslationSource
from ganforge.metrics.real_features import Sample


@dataclass(frozen=True)
class Share:
    """One process's share of the images.

    Attributes:
        device: device on which images are translated and scored.
        rank: index of this process.
        world: number of processes. Above 1, torch.distributed is in use.
    """

    device: torch.device
    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class HeldOut:
    """The images on which translations are evaluated.

    Attributes:
        n: maximum number of inputs per direction.
        batch_size: images per batch.
        split: split of the images.
    """

    n: int
    batch_size: int
    split: str

    def count(self, direction: Direction) -> int:
        """Returns the number of inputs in a direction, at most ``n``."""
        return min(self.n, direction.source.size(self.split))

    def inputs(self, direction: Direction, n: int, start: int) -> Tensor:
        """Returns inputs start ... start + n - 1: float32 [n, C, H, W] in [-1, 1]."""
        return to_float(direction.source.reals(n, self.split, start)[0])

    def targets(self, direction: Direction, n: int, start: int) -> Tensor:
        """Returns the targets of paired inputs start ... : float32 [n, C, H, W] in [-1, 1]."""
        return to_float(direction.target.reals(n, self.split, start)[0])

    def run_batches(self, direction: Direction, images: Sample, share: Share) -> None:
        """Calls ``images`` for this process's share of the inputs, batch by batch.

        Args:
            direction: determines the number of inputs.
            images: produces and scores images start ... start + n - 1, [n, C, H, W].
            share: this process's share.

        Raises:
            DivergenceError: An image of any process is not finite; raised on all processes.
        """
        finite = FiniteImages(share.device)
        start, stop = share_of(self.count(direction), share.rank, share.world)
        with full_precision(share.device):
            for first in range(start, stop, self.batch_size):
                finite(images(min(self.batch_size, stop - first), first))
        finite.conclude(share.world)


def split_of(data: TranslationSource, split: str, least: int = 1) -> str:
    """Returns ``split`` if both domains have at least ``least`` images of it, else "train"."""
    domains = (data.domain("input"), data.domain("target"))
    return split if all(domain.size(split) >= least for domain in domains) else "train"
