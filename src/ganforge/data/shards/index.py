"""What a shard contains: the place of each image in it, and its label."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganforge.errors import DataError

VERSION = 1
LONGEST_LABEL = 200  # characters of a class name
LARGEST_LABEL = 2**31

Label = int | str | None


@dataclass(frozen=True)
class ShardIndex:
    """The images of one shard, in the order in which they are stored.

    Attributes:
        size: size of the shard in bytes.
        names: name of each image in the shard.
        offsets: int64 [N], the first byte of each encoded image.
        sizes: int64 [N], its number of bytes.
        labels: class number or name of each image; None for an image without one.
        encoding: "file" if the bytes are those of an image file, "pil" if they are the raw pixels
            that LitData stores for an image of Pillow.
        skipped: reasons why members that look like images are not used.
    """

    size: int
    names: list[str]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: list[Label]
    encoding: str = "file"
    skipped: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Returns the index as JSON."""
        values = {
            "version": VERSION,
            "bytes": self.size,
            "names": self.names,
            "offsets": self.offsets.tolist(),
            "sizes": self.sizes.tolist(),
            "labels": self.labels if any(label is not None for label in self.labels) else None,
            "encoding": self.encoding,
            "skipped": self.skipped,
        }
        return json.dumps(values, separators=(",", ":")).encode()


def from_json(data: bytes, size: int) -> ShardIndex | None:
    """Returns the index of a shard of ``size`` bytes; None if it is of another version or shard.

    Raises:
        DataError: the index is damaged: it does not fit the shard.
    """
    try:
        values = json.loads(data)
        if values["version"] != VERSION or values["bytes"] != size:
            return None
        return _checked(values, size)
    except Exception as error:  # JSON of any other structure
        raise DataError(f"is damaged: {type(error).__name__} {error}") from error


def _checked(values: dict[str, Any], size: int) -> ShardIndex:
    names, skipped = values["names"], values["skipped"]
    offsets, sizes = (np.array(values[key], dtype=np.int64) for key in ("offsets", "sizes"))
    labels = values["labels"] or [None] * len(names)
    texts = [*names, *skipped, *skipped.values()]
    fits = (
        len(names) == len(offsets) == len(sizes) == len(labels)
        and offsets.ndim == sizes.ndim == 1
        and bool((offsets >= 0).all() and (sizes >= 0).all() and (offsets <= size - sizes).all())
        and all(isinstance(text, str) for text in texts)
        and all(is_label(label) for label in labels)
        and values["encoding"] in ("file", "pil")
    )
    if not fits:
        raise ValueError("its entries do not fit the shard")
    return ShardIndex(size, names, offsets, sizes, labels, values["encoding"], skipped)


def is_label(value: object) -> bool:
    """Whether a value can be a label: None, an integer, or a short text."""
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST_LABEL
    if isinstance(value, bool) or not isinstance(value, int):
        return value is None
    return abs(value) <= LARGEST_LABEL
