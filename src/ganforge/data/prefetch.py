"""Copies batches to a CUDA device while the previous step is computed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

Batch = dict[str, Tensor]


def copied_ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """Yields the same batches on ``device``, each copied one step before it is needed.

    Copies run in a stream of their own, next to the computation, from page-locked memory: copies
    from other memory make the process wait. Batches that are already on the device are passed on,
    as are all batches if ``device`` is not a CUDA device.

    Args:
        batches: batches on the CPU or on ``device``.
        device: the device of the model.
    """
    return batches if device.type != "cuda" else _copied_ahead(batches, device)


def _copied_ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    waiting: tuple[Batch, torch.cuda.Event] | None = None
    for batch in batches:
        if all(value.device == device for value in batch.values()):
            yield batch
            continue
        with torch.cuda.stream(stream):
            copy = {name: _copied(value, device) for name, value in batch.items()}
            event = stream.record_event()
        if waiting is not None:
            yield _ready(*waiting, device)
        waiting = copy, event
    if waiting is not None:
        yield _ready(*waiting, device)


def _copied(value: Tensor, device: torch.device) -> Tensor:
    pinned = value.pin_memory() if value.is_cpu and not value.is_pinned() else value
    return pinned.to(device, non_blocking=True)


def _ready(batch: Batch, copied: torch.cuda.Event, device: torch.device) -> Batch:
    """Returns the batch for use in the current stream, which waits for the copy."""
    current = torch.cuda.current_stream(device)
    current.wait_event(copied)
    for value in batch.values():
        # Otherwise its memory could be reused, in the other stream, while this one still reads it.
        value.record_stream(current)
    return batch
