"""Reads the index of LitData's chunks without LitData, which would unpickle what they contain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ganforge.data.shards.index import LONGEST_LABEL, Label, ShardIndex
from ganforge.data.shards.tar_scan import label_of
from ganforge.errors import DataError

LABELS = ("label", "cls", "class", "target", "y")
_IMAGE_KEYS = ("image", "img", "x")
_FILES = ("jpeg", "bytes", "image", "file")  # formats whose bytes are those of a file
_U32 = np.dtype("<u4")
_LABEL_BYTES = 4 * LONGEST_LABEL  # in UTF-8


@dataclass(frozen=True)
class ChunkFormat:
    """Which leaf of each item is the image, and which the label.

    Attributes:
        leaves: number of leaves of an item.
        image: position of the image among them.
        encoding: see :class:`~ganforge.data.shards.index.ShardIndex`.
        label: position of the label; None without labels.
        label_format: LitData's format of the label, "int" or "str".
    """

    leaves: int
    image: int
    encoding: str
    label: int | None = None
    label_format: str = ""


def read_format(config: dict[str, Any]) -> ChunkFormat:
    """Returns the format that the ``config`` of a LitData ``index.json`` describes.

    Raises:
        DataError: the chunks are compressed or encrypted, or have no image.
    """
    for key in ("compression", "encryption", "ipc_compression"):
        if config.get(key):
            raise DataError(
                f"its chunks have {key}={config[key]}: write them without, since images are "
                "compressed already"
            )
    if config.get("item_loader") not in (None, "PyTreeLoader"):
        raise DataError(f"its chunks are for the item loader {config['item_loader']}, not images")
    formats = [str(name).partition(":")[0] for name in config["data_format"]]
    keys = [*_keys(config.get("data_spec"), len(formats))]
    image = _image_of(formats, keys)
    if image is None:
        raise DataError(
            f"its items have the formats {', '.join(formats)}: none is an image "
            f"(pil, {', '.join(_FILES)})"
        )
    label = _label_of(formats, keys)
    return ChunkFormat(
        len(formats),
        image,
        "pil" if formats[image] == "pil" else "file",
        label,
        "" if label is None else formats[label],
    )


class Chunk(Protocol):
    """The bytes of a chunk: bytes, a memory map, or a remote file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


def scan_chunk(data: Chunk, layout: ChunkFormat) -> ShardIndex:
    """Returns the index of a chunk.

    Args:
        data: the whole chunk, of which the headers and labels are read, from start to end.
        layout: what its items consist of.

    Raises:
        DataError: the chunk is damaged.
    """
    items = _items(data)
    offsets, sizes = (np.empty(len(items) - 1, dtype=np.int64) for _ in range(2))
    labels: list[Label] = []
    for number, start in enumerate(items[:-1].tolist()):
        end = int(items[number + 1])
        leaves = _numbers(data, start, layout.leaves)
        ends = start + 4 * layout.leaves + np.cumsum(leaves)
        if ends[-1] > end:
            raise DataError(f"is damaged: item {number} is longer than its place")
        offsets[number], sizes[number] = (ends - leaves)[layout.image], leaves[layout.image]
        labels.append(_label(data, layout, ends, leaves))
    names = [f"{number:06d}" for number in range(len(labels))]
    return ShardIndex(len(data), names, offsets, sizes, labels, layout.encoding)


def _items(data: Chunk) -> NDArray[np.int64]:
    """Returns int64 [N + 1], where each item starts, and where the last one ends."""
    size = len(data)
    count = int(_numbers(data, 0, 1)[0]) if size >= 4 else -1
    if count < 0 or 4 * (count + 2) > size:
        raise DataError("is damaged: its header does not fit its size")
    items = _numbers(data, 4, count + 1)
    if items[0] < 4 * (count + 2) or (np.diff(items) < 0).any() or items[-1] > size:
        raise DataError("is damaged: its items do not fit its size")
    return items


def _numbers(data: Chunk, offset: int, count: int) -> NDArray[np.int64]:
    return np.frombuffer(data[offset : offset + 4 * count], _U32, count).astype(np.int64)


def _label(
    data: Chunk, layout: ChunkFormat, ends: NDArray[np.int64], leaves: NDArray[np.int64]
) -> Label:
    if layout.label is None:
        return None
    end, size = int(ends[layout.label]), int(leaves[layout.label])
    if size != 8 if layout.label_format == "int" else size > _LABEL_BYTES:
        return None
    content = data[end - size : end]
    if layout.label_format == "int":
        return label_of(int.from_bytes(content, "little", signed=True))
    return label_of(content.decode(errors="replace"))


def _keys(spec: Any, count: int) -> Iterator[str]:
    """Yields the key of each leaf of a flat dictionary; its position in any other structure."""
    try:
        root = json.loads(spec)[1]
        names = json.loads(root["context"]) if root["type"] == "builtins.dict" else []
        flat = all(child["type"] is None for child in root["children_spec"])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        names, flat = [], False
    if flat and isinstance(names, list) and len(names) == count:
        yield from map(str, names)
    else:
        yield from map(str, range(count))


def _image_of(formats: list[str], keys: list[str]) -> int | None:
    images = [at for at, name in enumerate(formats) if name in (*_FILES, "pil")]
    named = [at for at in images if keys[at] in _IMAGE_KEYS]
    return next(iter([*named, *images]), None)


def _label_of(formats: list[str], keys: list[str]) -> int | None:
    usable = [at for at, name in enumerate(formats) if name in ("int", "str")]
    if named := [at for at in usable if keys[at] in LABELS]:
        return named[0]
    positions = keys == [str(at) for at in range(len(keys))]
    return usable[0] if positions and len(usable) == 1 else None
