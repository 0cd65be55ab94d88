from __future__ import annotations

from torch import Tensor

from ganforge.streams import split_rows

Batch = dict[str, Tensor]


def split(batch: Batch, parts: int) -> list[Batch]:
    """Splits every tensor of a batch into the same ``parts`` pieces of rows."""
    pieces = {name: split_rows(rows, parts) for name, rows in batch.items()}
    return [{name: rows[i] for name, rows in pieces.items()} for i in range(parts)]
