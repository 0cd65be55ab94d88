from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from ganforge.errors import ConfigError
from ganforge.metrics.real_features import RealShare
from ganforge.metrics.scores.nearest import nearest_distances


class TrainingRows:
    """Features of the training images, and distances of held-out images to them.

    Each process computes a share of the features; all processes then gather all of them. Results
    are kept for later evaluations.

    Args:
        max_train: maximum number of training images.
        max_held_out: maximum number of test images.
    """

    def __init__(self, max_train: int, max_held_out: int) -> None:
        self.limits = (max_train, max_held_out)
        self._kept: tuple[object, Tensor, Tensor] | None = None

    def of(self, share: RealShare, device: torch.device) -> tuple[Tensor, Tensor]:
        """Returns all training rows [m, d] and this process's distances of held-out images [h].

        Args:
            share: any share of the data's images; split and bounds are ignored.
            device: device on which distances are computed.
        """
        source = (share.reals, share.extractor)
        if self._kept is None or self._kept[0] != source:
            train = _gathered(_part(share, "train", self.limits[0]), share.extractor.device)
            held_out = _part(share, "test", self.limits[1]).to(device)
            self._kept = (source, train, nearest_distances(held_out, train.to(device)))
        return self._kept[1].to(device), self._kept[2]


def _part(share: RealShare, split: str, limit: int) -> Tensor:
    """Returns this process's rows of a split."""
    count = min(limit, share.reals.data.size(split))
    spread = torch.distributed.is_initialized()
    rank = torch.distributed.get_rank() if spread else 0
    world = torch.distributed.get_world_size() if spread else 1
    if count < world:
        raise ConfigError(
            f"metrics=memorization: each of {world} processes needs an image of the {split} split, "
            f"which gives {count}"
        )
    start, stop = count * rank // world, count * (rank + 1) // world
    return replace(share, split=split, start=start, stop=stop).rows("features")


def _gathered(rows: Tensor, device: torch.device) -> Tensor:
    """Returns the rows of all processes in the order of ranks, on the CPU."""
    if not torch.distributed.is_initialized():
        return rows
    parts: list[Tensor] = gather_all_tensors(rows.to(device))
    return torch.cat([part.cpu() for part in parts])
