from __future__ import annotations

from torch import Tensor

from ganforge.streams import split_rows

Batch = dict[str, Tensor]


def split(batch: Batch, parts: int) -> list[Batch]:
    """Splits a batch into ``parts`` batches of consecutive rows, the same rows for every tensor."""
    pieces = {name: split_rows(rows, parts) for name, rows in batch.items()}
    return [{name: rows[i] for name, rows in pieces.items()} for i in range(parts)]
