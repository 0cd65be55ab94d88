from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganforge.data.files.byte_ranges import ByteRanges
from ganforge.data.files.encoded import Entries, UnreachableError, check_size
from ganforge.data.shards.downloads import Downloads
from ganforge.data.shards.index import Label, ShardIndex
from ganforge.data.shards.places import is_remote
from ganforge.data.shards.remote import Remote
from ganforge.errors import DataError

_REQUESTS = 32  # byte ranges that a process requests at the same time
_PIL_HEADER = 12  # bytes before the mode of an image in LitData's format "pil"
_NETPBM = {"L": b"P5", "RGB": b"P6"}


@dataclass(frozen=True)
class Shard:
    """One shard, and where it is.

    Attributes:
        place: a path or URL.
        name: name in messages and identities, the same wherever the shards are stored.
        stamp: changes with the contents of the file.
        index: its images.
    """

    place: str
    name: str
    stamp: str
    index: ShardIndex


class ShardEntries(Entries):
    """Images in shards, each read by its place in its shard, in any order.

    An image of a remote shard is read from the copy of the shard in the cache if there is one,
    else as a byte range: what is in the cache changes the speed, never the images.

    Args:
        shards: the shards, in order.
        remote: reads remote shards.
        downloads: copies of remote shards; None to copy none.
    """

    def __init__(
        self, shards: Sequence[Shard], remote: Remote, downloads: Downloads | None = None
    ) -> None:
        super().__init__()
        self.shards = [*shards]
        self.remote = remote
        self.downloads = downloads
        self._ranges = ByteRanges()
        self._offsets = _joined(shard.index.offsets for shard in shards)
        self._sizes = _joined(shard.index.sizes for shard in shards)
        counts = [len(shard.index.names) for shard in shards]
        self._shard_of = np.repeat(np.arange(len(counts)), counts)
        self.names = [f"{shard.name}/{name}" for shard in shards for name in shard.index.names]
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._fetched: dict[str, bytes] = {}
        for shard in shards:
            for name, reason in shard.index.skipped.items():
                self.skipped[f"{shard.name}/{name}"] = reason
        if len(self._numbers) < len(self.names):
            raise DataError("two images of the shards have the same name")

    def read(self, name: str) -> bytes:
        """Returns the encoded image ``name``.

        Raises:
            UnreachableError: a remote shard cannot be read.
        """
        data = self._fetched.pop(name, None)
        return self._read(name) if data is None else data

    def fetch(self, names: Iterable[str]) -> None:
        """Reads remote images at the same time, each to be returned by the next :meth:`read`."""
        names = [name for name in names if self._is_far(name)]
        if len(names) < 2:
            return
        with ThreadPoolExecutor(min(_REQUESTS, len(names))) as threads:
            parts = zip(names, threads.map(self._attempt, names), strict=True)
            self._fetched = {name: data for name, data in parts if data is not None}

    def stamp(self, name: str) -> str:
        """Returns size and place in the shard, and the stamp of the shard."""
        number = self._numbers[name]
        shard = self.shards[self._shard_of[number]]
        return f"{self._sizes[number]} at {self._offsets[number]} {shard.stamp}"

    def shards_of(self, names: Iterable[str]) -> Tensor:
        """Returns int64 [N], the number of the shard of each image."""
        numbers = np.fromiter((self._numbers[name] for name in names), dtype=np.int64)
        return torch.from_numpy(self._shard_of[numbers])

    def labels_of(self, names: Iterable[str]) -> list[Label]:
        """Returns the label of each image."""
        starts = np.searchsorted(self._shard_of, np.arange(len(self.shards)))
        found = []
        for name in names:
            number = self._numbers[name]
            shard = self._shard_of[number]
            found.append(self.shards[shard].index.labels[number - starts[shard]])
        return found

    def expect(self, shards: Sequence[int]) -> None:
        """Starts to copy the remote ones among these shards, the first one first."""
        if self.downloads is not None:
            self.downloads.expect([self.shards[number] for number in shards])

    def obtain(self, shards: Sequence[int]) -> None:
        """Copies the remote ones among these shards, and waits for it."""
        if self.downloads is not None:
            self.downloads.obtain([self.shards[number] for number in shards])

    def _is_far(self, name: str) -> bool:
        shard = self.shards[self._shard_of[self._numbers[name]]]
        if not is_remote(shard.place):
            return False
        return self.downloads is None or not self.downloads.path(shard).exists()

    def _attempt(self, name: str) -> bytes | None:
        """Returns an image; None if it is damaged, which :meth:`read` finds and tells."""
        try:
            return self._read(name)
        except UnreachableError:
            raise
        except Exception:
            return None

    def _read(self, name: str) -> bytes:
        number = self._numbers[name]
        shard = self.shards[self._shard_of[number]]
        offset, size = int(self._offsets[number]), int(self._sizes[number])
        check_size(size, self.max_bytes)
        data = self._range(shard, offset, size)
        if len(data) != size:
            raise DataError("is cut off: the shard is shorter than before")
        return _unwrapped(data) if shard.index.encoding == "pil" else data

    def _range(self, shard: Shard, offset: int, size: int) -> bytes:
        if not is_remote(shard.place):
            return self._ranges.read(Path(shard.place), offset, size)
        if self.downloads is not None:
            try:
                return self._ranges.read(self.downloads.path(shard), offset, size)
            except OSError:  # not copied, or removed to make room
                pass
        return self.remote.read(shard.place, offset, size)


def _joined(parts: Iterator[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _unwrapped(data: bytes) -> bytes:
    """Returns raw pixels in LitData's format "pil" as an image file, PGM or PPM."""
    width, height, length = np.frombuffer(data, "<u4", 3).tolist()
    mode = data[_PIL_HEADER : _PIL_HEADER + length].decode(errors="replace")
    if mode not in _NETPBM:
        raise DataError(f"has the mode {mode}; expected {' or '.join(_NETPBM)}")
    return _NETPBM[mode] + f" {width} {height} 255\n".encode() + data[_PIL_HEADER + length :]
