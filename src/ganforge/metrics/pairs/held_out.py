from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.data.images import to_float
from ganforge.metrics.evaluate import share_of
from ganforge.metrics.finite import FiniteImages
from ganforge.metrics.pairs.direction import Direction, TranslationSource
from ganforge.metrics.real_features import Sample


@dataclass(frozen=True)
class Share:
    """The part of the images that a process works on.

    Attributes:
        device: where images are made and judged.
        rank: index of this process.
        world: number of processes. Above 1, torch.distributed is in use.
    """

    device: torch.device
    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class HeldOut:
    """The images that translations are judged on.

    Attributes:
        n: inputs in each direction, at most.
        batch_size: images looked at together.
        split: where they are from.
    """

    n: int
    batch_size: int
    split: str

    def count(self, direction: Direction) -> int:
        """Returns how many inputs there are."""
        return min(self.n, direction.source.size(self.split))

    def inputs(self, direction: Direction, n: int, start: int) -> Tensor:
        """Returns inputs start ... start + n - 1: float32 [n, C, H, W] in [-1, 1]."""
        return to_float(direction.source.reals(n, self.split, start)[0])

    def targets(self, direction: Direction, n: int, start: int) -> Tensor:
        """Returns the targets of paired inputs start ... : float32 [n, C, H, W] in [-1, 1]."""
        return to_float(direction.target.reals(n, self.split, start)[0])

    def go_through(self, direction: Direction, images: Sample, share: Share) -> None:
        """Has this process's part made, batch by batch.

        Args:
            direction: whose inputs are counted.
            images: makes images start ... start + n - 1, [n, C, H, W], and looks at them.
            share: this process's part.

        Raises:
            DivergenceError: on all processes, when an image of any is not finite.
        """
        finite = FiniteImages(share.device)
        start, stop = share_of(self.count(direction), share.rank, share.world)
        with torch.autocast(share.device.type, enabled=False):
            for first in range(start, stop, self.batch_size):
                finite(images(min(self.batch_size, stop - first), first))
        finite.conclude(share.world)


def split_of(data: TranslationSource, split: str, least: int = 1) -> str:
    """Returns ``split`` where both domains have ``least`` images of it, else "train"."""
    domains = (data.domain("input"), data.domain("target"))
    return split if all(domain.size(split) >= least for domain in domains) else "train"
