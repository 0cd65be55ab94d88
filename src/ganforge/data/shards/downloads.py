"""Copies of remote shards in the cache, up to a total size, shared by all processes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ganforge import atomic
from ganforge.data.files.encoded import megabytes
from ganforge.data.shards.index import ShardIndex
from ganforge.data.shards.places import is_remote
from ganforge.data.shards.remote import Remote
from ganforge.errors import DataError
from ganforge.file_locks import kept_from_children, try_lock
from ganforge.paths import cache_root
from ganforge.plain_text import one_line
from ganforge.regular_files import open_regular

COPY = ".copy.shard"  # suffix of copies of shards
KEPT = ".index.shard"  # suffix of indexes of shards

_SPARE = 2**30  # bytes of the disk that are left free
_STEP = 8 * 2**20
_PATIENCE = 0.5  # seconds between two looks at a shard that another process is copying
_log = logging.getLogger("ganforge")


class Remotes(Protocol):
    """What a download needs to know of a shard."""

    @property
    def place(self) -> str: ...  # noqa: D102

    @property
    def stamp(self) -> str: ...  # noqa: D102

    @property
    def index(self) -> ShardIndex: ...  # noqa: D102


def cache_key(place: str, size: int, stamp: str) -> str:
    """Returns the name of a shard in the cache: the same for the same file at the same place."""
    return hashlib.sha256(f"{place}\n{size}\n{stamp}".encode()).hexdigest()[:32]


def shard_cache() -> Path:
    """Returns the folder of shards and of their indexes."""
    return cache_root() / "shards"


class Downloads:
    """Copies remote shards in the background, in the order in which they will be read.

    Before a copy, the shards that were not used for longest are removed, except those that this
    process expects to read. If there is still no room, nothing is copied.

    Args:
        remote: reads remote files.
        most: largest total size of all copies, in bytes.
    """

    def __init__(self, remote: Remote, most: int) -> None:
        self.remote = remote
        self.most = most
        self.folder = shard_cache()
        self._expected: list[Remotes] = []
        self._process: int | None = None  # the one whose thread copies shards
        self._changed = threading.Condition()

    def path(self, shard: Remotes) -> Path:
        """Returns where the copy of a shard is, or would be."""
        return self.folder / f"{cache_key(shard.place, shard.index.size, shard.stamp)}{COPY}"

    def expect(self, shards: Sequence[Remotes]) -> None:
        """Says which shards will be read next, and starts to copy those that are missing."""
        shards = [shard for shard in shards if is_remote(shard.place)]
        for shard in shards:
            with contextlib.suppress(OSError):
                os.utime(self.path(shard))
        if self._process != os.getpid():
            # Neither threads nor the states of their locks survive a fork.
            self._process, self._changed = os.getpid(), threading.Condition()
            done = (self._expected,)  # those before: the thread may start after they have changed
            threading.Thread(target=self._work, args=done, name="shards", daemon=True).start()
        with self._changed:
            self._expected = shards
            self._changed.notify()

    def obtain(self, shards: Sequence[Remotes]) -> None:
        """Copies shards now, as far as there is room, also those that another process copies."""
        shards = [shard for shard in shards if is_remote(shard.place)]
        self._expected = shards
        for shard in shards:
            while not self.path(shard).exists():
                outcome = self._copy(shard)
                if outcome is False:
                    return
                if outcome is None:
                    time.sleep(_PATIENCE)

    def _work(self, done: list[Remotes]) -> None:
        while True:
            with self._changed:
                while self._expected is done:
                    self._changed.wait()
                expected = self._expected
            try:
                self._copy_all(expected)
            except Exception as error:  # images are read as byte ranges instead
                _log.warning("shards are not copied into %s: %s", self.folder, one_line(error))
            done = expected

    def _copy_all(self, expected: list[Remotes]) -> None:
        for shard in expected:
            if self._expected is not expected:
                return
            if not self.path(shard).exists() and self._copy(shard) is False:
                return

    def _copy(self, shard: Remotes) -> bool | None:
        """Copies a shard; returns false if there is no room, None if another process copies it."""
        path = self.path(shard)
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name.removesuffix(COPY) + ".lock")
        with _alone(lock) as alone:
            if not alone:
                return None
            if path.exists():
                return True
            if not self._make_room(shard.index.size):
                return False
            with atomic.writing(path, durable=False) as file:
                file.truncate(shard.index.size)  # counts from now on, see _make_room
                self._receive(shard, file)
        lock.unlink(missing_ok=True)
        return True

    def _receive(self, shard: Remotes, file: Any) -> None:
        received = 0
        with self.remote.stream(shard.place) as source:
            while part := source.read(_STEP):
                received += file.write(part)
        if received != shard.index.size:
            raise DataError(
                f"{one_line(shard.place)} ended after {received:,} of {shard.index.size:,} bytes"
            )

    def _make_room(self, size: int) -> bool:
        with _alone(self.folder / "cache.lock", wait=True):
            kept = {self.path(shard) for shard in self._expected}
            files = sorted(self._files(), key=lambda entry: entry[1])
            total = sum(bytes_ for _, _, bytes_ in files)
            for path, _, bytes_ in files:
                if self._fits(total + size, size):
                    break
                if path.name.endswith(COPY) and path not in kept:
                    path.unlink(missing_ok=True)
                    total -= bytes_
            return self._fits(total + size, size)

    def _fits(self, total: int, size: int) -> bool:
        free = shutil.disk_usage(self.folder).free
        return total <= self.most and free - size >= _SPARE

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        """Yields path, time of last use, and size of all copies, also of unfinished ones."""
        for path in self.folder.iterdir():
            if path.name.endswith(COPY) or atomic.is_temporary(path.name):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    yield path, status.st_mtime, status.st_size

    def __getstate__(self) -> dict[str, object]:
        return {"remote": self.remote, "most": self.most, "folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["remote"], state["most"])  # type: ignore[misc]
        self.folder = state["folder"]


def check_room(most: int, sizes: Sequence[int], images: int, shuffle: int) -> None:
    """Checks that the cache can hold the shards that are shuffled together.

    Args:
        most: largest size of the cache in bytes.
        sizes: size of each remote shard in bytes.
        images: number of images in them.
        shuffle: number of images that are shuffled together.

    Raises:
        DataError: it cannot.
    """
    share = min(shuffle / max(images, 1), 1)
    needed = min(int(sum(sizes) * share) + 2 * max(sizes), sum(sizes))
    if needed > most:
        raise DataError(
            f"data.shuffle={shuffle} reads up to {megabytes(needed)} of shards at a time, and "
            f"data.shard_cache_gb={most / 1e9:g} allows {megabytes(most)}: increase it, decrease "
            "data.shuffle, or set data.shard_cache_gb=0 to read each image by itself"
        )


@contextlib.contextmanager
def _alone(path: Path, wait: bool = False) -> Iterator[bool]:
    """Locks a file in the block; yields whether no other process or thread held it.

    Without locks in the file system, or on Windows, a shard may be copied twice.
    """
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT, 0o644)
    with kept_from_children(descriptor):
        yield try_lock(descriptor, wait=wait) is not False
