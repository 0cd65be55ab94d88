"""Decides where decoded images are kept: in memory, in a file of the cache, or nowhere."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from PIL import __version__ as pillow
from PIL import features
from torch import Tensor

from ganforge.cores import Cores
from ganforge.data.files.cached import CachedSource
from ganforge.data.files.encoded import megabytes
from ganforge.data.files.filling import fill
from ganforge.data.files.pixel_file import SUFFIX
from ganforge.data.files.source import FileSource
from ganforge.data.order import fixed_order
from ganforge.data.source import ImageSource, hash_of
from ganforge.errors import ConfigError, DataError
from ganforge.file_locks import try_lock
from ganforge.paths import cache_root
from ganforge.regular_files import open_regular

FOLDER = "images"  # in the cache folder
DECODED_AT_START = 100_000  # more files are never decoded into memory at every start
WORTH = 10_000  # fewer files are decoded within seconds
SAMPLE = 64  # decoded images in a key, for files that differ in their bytes only
VERSION = 1  # part of every key: raise it when decoding changes
_POLL = 0.5  # seconds
_LONGEST = 80  # characters of the data set's name in a file name
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keeping:
    """Settings of a data set on where its decoded images are kept.

    Attributes:
        name: name of the data set.
        in_memory: see :class:`ganforge.data.ImageDataModule`, also for the others.
        memory_limit_mb: limit of ``in_memory="auto"``.
        cache: true, false or "auto".
        cache_limit_mb: limit of all files of decoded images with ``cache="auto"``.
    """

    name: str
    in_memory: bool | str
    memory_limit_mb: int
    cache: bool | str
    cache_limit_mb: int

    def __post_init__(self) -> None:
        for key in ("in_memory", "cache"):
            if getattr(self, key) not in (True, False, "auto"):
                given = getattr(self, key)
                raise ConfigError(f"data.{key} must be auto, true or false, got {given!r}")

    def at_start(self, source: ImageSource) -> ImageSource:
        """Returns the images in memory if they are to be held there; otherwise ``source``."""
        if not isinstance(source, FileSource) or self.in_memory is False:
            return source
        fits = _size(source) <= self.memory_limit_mb * 2**20 and len(source) <= DECODED_AT_START
        if self.in_memory is not True and not fits:
            return source
        cached = self.on_disk(source)
        if isinstance(cached, CachedSource) and self._obtain(cached) is None:
            return cached.loaded()
        return source.decoded()

    def on_disk(self, source: ImageSource) -> ImageSource:
        """Returns a source that reads decoded images from the cache, if files are cached.

        They are read from there at once if an earlier run has decoded them, and otherwise after
        :meth:`decode_once`.
        """
        worth = self.cache is True or (self.cache == "auto" and len(source) >= WORTH)
        if not isinstance(source, FileSource) or not worth:
            return source
        cached = CachedSource(source, *_place(self.name, source))
        cached.open()
        return cached

    def decode_once(self, source: ImageSource) -> None:
        """Decodes the images of :meth:`on_disk` into the cache, unless they are there.

        Raises:
            DataError: the images are unreadable; or, with ``cache=true``, cannot be cached.
        """
        if isinstance(source, CachedSource) and (reason := self._obtain(source)) is not None:
            _log.info("data=%s: files are decoded on every read: %s", self.name, reason)

    def _obtain(self, cached: CachedSource) -> str | None:
        """Decodes the images into the cache unless they are there; returns why not, or None."""
        if cached.is_open or cached.open():
            return None
        reason = self._reason_against(cached)
        if reason is None:
            try:
                self._decode(cached)
            except (OSError, RuntimeError) as error:  # RuntimeError: a process was killed
                reason = f"cannot decode into {cached.path.parent}: {_words(error)}"
        if reason is None and not cached.open():
            reason = f"{cached.path} was removed or cannot be read"
        if reason is not None and self.cache is True:
            raise DataError(
                f"data={self.name}: {reason}. data.cache=false decodes files on every read; "
                "GANFORGE_CACHE=FOLDER selects another folder"
            )
        return reason

    def _decode(self, cached: CachedSource) -> None:
        label = f"data={self.name}"
        with _turn(cached.path, label):
            if not cached.open():  # another process may have decoded them in the meantime
                _make_room(cached.path.parent, _size(cached), self.cache_limit_mb * 2**20)
                count, cores = f"{len(cached):,}", Cores.find().count
                _log.info("%s: decoding %s images once, on %d cores", label, count, cores)
                fill(cached, label)
                cached.open()  # in use from here on, so that no other process makes room of it

    def _reason_against(self, cached: CachedSource) -> str | None:
        """Returns why the decoded images are not to be stored; None if they are."""
        size, limit = _size(cached), self.cache_limit_mb
        takes = f"decoded, they take {megabytes(size)}"
        if self.cache == "auto" and size > limit * 2**20:
            return f"{takes}, more than data.cache_limit_mb={limit}"
        free = _free(cached.path.parent)
        if self.cache == "auto" and size > free // 2:
            return f"{takes}, more than half of the {megabytes(free)} free in {cache_root()}"
        if size > free:
            return f"{takes}, and {cache_root()} has {megabytes(free)} free"
        return None


def _place(name: str, source: FileSource) -> tuple[Path, str]:
    """Returns the path of a source's file of pixels, and the key of all that determines them."""
    key = json.dumps(
        {
            "version": VERSION,
            "pillow": [pillow, *(features.version(codec) for codec in ("libjpeg_turbo", "webp"))],
            "decoding": source.decoding(),
            "images": len(source),
            "contents": source.contents(),
            "sample": _sample(source),
        },
        sort_keys=True,
    )
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    file = f"{quote(name, safe='')[:_LONGEST]}-{source.shape[1]}px-{digest}{SUFFIX}"
    return cache_root() / FOLDER / file, key


def _sample(source: FileSource) -> str:
    parts: list[str | Tensor | None] = []
    parts += [source.attempt(row) for row in fixed_order(len(source))[:SAMPLE].tolist()]
    return hash_of(*parts)


def _size(source: ImageSource) -> int:
    return len(source) * math.prod(source.shape)


def _free(folder: Path) -> int:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return shutil.disk_usage(existing).free


@contextlib.contextmanager
def _turn(path: Path, label: str) -> Iterator[None]:
    """Waits until no other process decodes into ``path``. Processes that are killed do not count.

    Without locks in the file system, processes may decode the same images at the same time. Each
    writes a file of its own, and the last one remains.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_suffix(".lock")
    descriptor = open_regular(place, os.O_RDWR | os.O_CREAT)
    try:
        if try_lock(descriptor) is False:
            _log.info("%s: waiting for another process, which decodes the images", label)
            while try_lock(descriptor) is False:
                time.sleep(_POLL)
        try:
            yield
        finally:  # a process that still waits for the removed file finds the images decoded
            place.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _make_room(folder: Path, size: int, limit: int) -> None:
    """Removes the least recently used files that no process reads, as far as the limit needs it."""
    files: list[tuple[float, int, Path]] = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):  # another process has removed it
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    total = size + sum(bytes_ for _, bytes_, _ in files)
    for _, _, path in sorted(files):
        if total <= max(limit, size):
            return
        with contextlib.suppress(OSError):  # another user's file in a shared folder
            descriptor = open_regular(path)
            try:
                if try_lock(descriptor) is not False:
                    freed = os.fstat(descriptor).st_size
                    path.unlink()
                    total -= freed
            finally:
                os.close(descriptor)


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
