"""On-disk cache of real images' statistics, shared by all runs of a user."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import pickle
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ganforge import atomic
from ganforge.errors import DamagedError
from ganforge.metrics.cache_folder import file_name, files, reason, warn_unreadable
from ganforge.paths import cache_root
from ganforge.tensor_files import read_tensors

log = logging.getLogger("ganforge")

Key = Mapping[str, str | int | float]
T = TypeVar("T")

# Raised by files with unexpected contents.
DAMAGED = (
    *(DamagedError, RuntimeError, EOFError, KeyError, TypeError, ValueError, AttributeError),
    pickle.UnpicklingError,
)

VERSION = 1  # part of every key: raise it when the meaning of cached statistics changes
MOST_BYTES_EACH = 2**30
MOST_BYTES = 8 * 2**30


class StatisticsCache:
    """A key-value store of tensors on disk, shared by all runs of a user.

    Files are written atomically, so that concurrent runs never read a partial file. Damaged files
    are recomputed. If the folder is not writable, a warning is logged and nothing is cached.

    Args:
        folder: folder of the files; None uses ``statistics`` in the cache folder.
        most_bytes: maximum total size; the least recently used files are removed first.
        most_bytes_each: maximum size of one entry; larger ones are not cached.
    """

    def __init__(
        self,
        folder: Path | None = None,
        most_bytes: int = MOST_BYTES,
        most_bytes_each: int = MOST_BYTES_EACH,
    ) -> None:
        self.folder = folder or cache_root() / "statistics"
        self.most_bytes = most_bytes
        self.most_bytes_each = most_bytes_each

    def path(self, key: Key) -> Path:
        """Returns the file of a key, which must have the entries "data" and "kind"."""
        digest = hashlib.sha256(_text(key).encode()).hexdigest()[:16]
        return self.folder / file_name(str(key["data"]), str(key["kind"]), digest)

    def load(self, key: Key) -> dict[str, Tensor] | None:
        """Returns the tensors of a key on the CPU; None if missing, unreadable or damaged."""
        path = self.path(key)

        def parse(contents: Any) -> dict[str, Tensor]:
            tensors: dict[str, Tensor] = contents["tensors"]
            if contents["key"] != _text(key) or contents["checksum"] != _checksum(tensors):
                raise ValueError("its contents differ from what was written")
            return tensors

        tensors = read_cached(path, parse)
        if tensors is not None:
            # Marks the file as recently used. Fails for files of other users, which are still read.
            with contextlib.suppress(OSError):
                os.utime(path)
        return tensors

    def save(self, key: Key, tensors: Mapping[str, Tensor]) -> None:
        """Stores tensors under a key, unless they exceed ``most_bytes_each``."""
        copies = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        if sum(value.nbytes for value in copies.values()) > self.most_bytes_each:
            return
        contents = {"key": _text(key), "checksum": _checksum(copies), "tensors": copies}
        try:
            with atomic.writing(self.path(key)) as file:
                torch.save(contents, file)
            self._make_room()
        except (OSError, RuntimeError) as fault:  # torch.save: RuntimeError on a full disk
            log.warning("cannot save statistics in %s: %s", self.folder, reason(fault))

    def _make_room(self) -> None:
        total = 0
        for entry in files(self.folder, "statistics"):  # most recently used first
            total += entry.size
            if total > self.most_bytes:
                with contextlib.suppress(OSError):  # another user's file in a shared folder
                    entry.path.unlink(missing_ok=True)


def read_cached(path: Path, parse: Callable[[Any], T], remove: bool = False) -> T | None:
    """Returns what ``parse`` makes of a file of tensors; None if missing, unreadable or damaged.

    Args:
        path: the file.
        parse: converts the file's contents; raises an error if they are damaged.
        remove: whether to remove a damaged file.
    """
    try:
        return parse(read_tensors(path))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as fault:
        warn_unreadable(path, fault)
    except DAMAGED as fault:
        log.warning("%s is damaged and will be recreated: %s", path, fault)
        if remove:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return None


def _text(key: Key) -> str:
    return json.dumps({"version": VERSION, **key}, sort_keys=True)


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].contiguous().numpy().data, total)
    return total
