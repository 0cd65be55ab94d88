"""A trainer and module that hold no more than what data modules ask them for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace

import torch
from torch import Tensor

from ganforge.data.module import ImageDataModule


def attach(
    data: ImageDataModule,
    images_seen: int = 0,
    iteration: int = 0,
    critic_steps: int | list[int] = 1,
    rank: int = 0,
    world: int = 1,
) -> SimpleNamespace:
    def critic_steps_at(at: int) -> int:
        if isinstance(critic_steps, int):
            return critic_steps
        return critic_steps[min(at, len(critic_steps) - 1)]

    module = SimpleNamespace(
        images_seen=images_seen,
        iteration=iteration,
        critic_steps_at=critic_steps_at,
        batch_size_at=lambda seen, batch_size: batch_size,
        device=torch.device("cpu"),
    )
    data.trainer = SimpleNamespace(lightning_module=module, world_size=world, global_rank=rank)
    return module


def first(data: ImageDataModule, steps: int) -> list[dict[str, Tensor]]:
    batches: Iterator[dict[str, Tensor]] = iter(data.train_dataloader())
    return list(islice(batches, steps))


def joined(batches: list[dict[str, Tensor]], key: str = "image") -> Tensor:
    return torch.cat([batch[key] for batch in batches])
