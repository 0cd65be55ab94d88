"""Opens shards: finds the index of each, next to it, in the cache, or by reading it once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ganforge import atomic
from ganforge.data.files.folder_entries import open_data
from ganforge.data.shards.downloads import KEPT, cache_key, shard_cache
from ganforge.data.shards.entries import Shard
from ganforge.data.shards.index import ShardIndex, from_json
from ganforge.data.shards.places import is_remote, next_to, short_names
from ganforge.data.shards.remote import Remote
from ganforge.errors import DataError
from ganforge.plain_text import one_line

INDEX = ".json"  # added to the name of a shard
UNFINISHED = "ganforge-unfinished.json"  # next to shards that `ganforge prepare` is writing
SUMMARY = "ganforge.json"  # next to shards that `ganforge prepare` has written
MOST_INDEX = 256 * 2**20  # bytes of an index

_THREADS = 16
_EVERY = 10.0  # seconds between messages
_log = logging.getLogger("ganforge")

Scan = Callable[[str, int], ShardIndex]


def open_shards(places: Sequence[str], scan: Scan, remote: Remote) -> list[Shard]:
    """Returns the shards at ``places`` with their indexes, which are kept in the cache.

    Args:
        places: path or URL of each shard.
        scan: returns the index of a shard, given its place and size, by reading it.
        remote: reads remote shards.

    Raises:
        DataError: a shard is missing, damaged, or part of an unfinished `ganforge prepare`.
    """
    for folder in {Path(place).parent for place in places if not is_remote(place)}:
        if (folder / UNFINISHED).exists():
            raise DataError(
                f"{one_line(folder)} is not complete: ganforge prepare was interrupted or is still "
                "running; the same command continues it"
            )
    opened: list[Shard] = []
    last_message = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as threads:
        work = partial(_open, scan=scan, remote=remote)
        try:
            for shard in threads.map(work, places, short_names(places)):
                opened.append(shard)
                if time.monotonic() - last_message > _EVERY:
                    last_message = time.monotonic()
                    _log.info("indexed %d of %d shards", len(opened), len(places))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return opened


def read_next_to(place: str, name: str, remote: Remote, most: int = MOST_INDEX) -> bytes | None:
    """Returns a file in the folder of a shard; None if there is none, or it is too large.

    Raises:
        DataError: it cannot be read.
    """
    path = next_to(place, name)
    if is_remote(path):
        return remote.whole(path, most)
    try:
        with open_data(Path(path)) as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{one_line(path)} cannot be read: {error.strerror or error}") from error
    return data if len(data) <= most else None


def _open(place: str, name: str, scan: Scan, remote: Remote) -> Shard:
    try:
        size, stamp = _status(place, remote)
        return Shard(place, name, stamp, _index(place, size, stamp, scan, remote))
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{one_line(place)} cannot be read: {reason}") from error
    except DataError as error:
        message = str(error)
        full = message if place in message else f"{one_line(place)} {message}"
        raise DataError(full) from error
    except Exception as error:  # damaged archives cause exceptions of any type
        reason = one_line(str(error)) or type(error).__name__
        raise DataError(f"{one_line(place)} cannot be read: {reason}") from error


def _status(place: str, remote: Remote) -> tuple[int, str]:
    if is_remote(place):
        return remote.status(place)
    status = Path(place).stat()
    return status.st_size, f"{status.st_size} {status.st_mtime_ns}"


def _index(place: str, size: int, stamp: str, scan: Scan, remote: Remote) -> ShardIndex:
    kept = shard_cache() / f"{cache_key(place, size, stamp)}{KEPT}"
    try:
        if (index := from_json(kept.read_bytes(), size)) is not None:
            return index
    except (OSError, DataError):  # not there, or damaged: made anew
        pass
    index = _index_next_to(place, size, remote) or scan(place, size)
    try:
        atomic.write(kept, index.to_json(), durable=False)
    except OSError as error:
        _log.warning("the index of %s is not kept: %s", one_line(place), error.strerror or error)
    return index


def _index_next_to(place: str, size: int, remote: Remote) -> ShardIndex | None:
    name = place.partition("?")[0].replace("\\", "/").rpartition("/")[2]
    data = read_next_to(place, name + INDEX, remote)
    if data is None:
        return None
    try:
        return from_json(data, size)
    except DataError:  # a file of that name that is not from ganforge
        return None
