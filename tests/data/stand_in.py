"""A trainer and module with only the attributes that data modules read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from types import SimpleNamespace

import torch
from torch import Tensor

from ganforge.data.module import ImageDataModule
from ganforge.data.translation.module import TranslationData


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
    data.trainer = SimpleNamespace(
        lightning_module=module, world_size=world, num_devices=world, global_rank=rank
    )
    return module


def first(data: ImageDataModule, steps: int) -> list[dict[str, Tensor]]:
    batches: Iterator[dict[str, Tensor]] = iter(data.train_dataloader())
    return list(islice(batches, steps))


def joined(batches: list[dict[str, Tensor]], key: str = "image") -> Tensor:
    return torch.cat([batch[key] for batch in batches])


def check_position_alone_decides(make: Callable[..., TranslationData]) -> None:
    """The same batches with any batch size, storage, workers, ranks and after a resumption."""
    data = make(batch_size=4)
    module = attach(data)
    expected = first(data, 6)
    stored = {"in_memory": False, "cache": True}
    for changes in (
        *({"batch_size": 2}, {"in_memory": False}, {"in_memory": False, "workers": 2}),
        *(stored, {**stored, "workers": 2}),
    ):
        other = make(**{"batch_size": 4, **changes})
        attach(other)
        other.decode_once()
        assert all(getattr(s, "is_open", True) for s in other._trained_on())
        served = first(other, 24 // other.batch_size)
        for key in ("input", "image"):
            assert torch.equal(joined(served, key), joined(expected, key)), changes
    for rank in (0, 1):
        share = make(batch_size=4)
        attach(share, rank=rank, world=2)
        for part, whole in zip(first(share, 6), expected, strict=True):
            for key in ("input", "image"):
                assert torch.equal(part[key], whole[key][rank::2])
    loader = data.train_dataloader()
    module.images_seen, module.iteration = 16, 4
    for batch, whole in zip(islice(loader, 2), expected[4:], strict=True):
        for key in ("input", "image"):
            assert torch.equal(batch[key], whole[key])
