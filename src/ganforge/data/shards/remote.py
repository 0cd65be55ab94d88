"""Remote files: byte ranges and streams over HTTP and S3, through fsspec."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar, cast

from ganforge.data.files.encoded import UnreachableError
from ganforge.errors import DataError, install
from ganforge.plain_text import one_line

REMOTE = ("s3", "http", "https")

_TRIES = 4
_FIRST_WAIT = 0.5  # seconds before the second try; doubled for each further one
_BUSY = (408, 429)  # HTTP states of a server that asks to try again
_BLOCK = 4 * 2**20  # bytes per request of a file of which only parts are needed
_STREAM_BLOCK = 8 * 2**20  # bytes per request of a file that is read from start to end
_log = logging.getLogger("ganforge")

T = TypeVar("T")


class Remote:
    """Reads remote files. Every request is tried four times."""

    def __init__(self) -> None:
        self._systems: dict[tuple[str, int], Any] = {}
        self._failed: set[str] = set()  # files that the user was warned of
        self._with_ranges: set[str] = set()  # hosts that send byte ranges

    def status(self, url: str) -> tuple[int, str]:
        """Returns the size of a file in bytes, and a stamp that changes with its contents.

        Raises:
            UnreachableError: the file does not exist or cannot be reached.
        """
        found = self._tried(url, lambda: self._system(url).info(url))
        if found.get("size") is None:
            raise UnreachableError(f"{one_line(url)}: the server does not state its size")
        stamps = [found.get(key) for key in ("ETag", "LastModified", "Last-Modified", "mtime")]
        return int(found["size"]), " ".join(str(stamp) for stamp in stamps if stamp)

    def read(self, url: str, offset: int, size: int) -> bytes:
        """Returns ``size`` bytes at ``offset``.

        Raises:
            UnreachableError: the file cannot be reached, or the server sends no byte ranges.
        """
        if size == 0:
            return b""
        self._check_ranges(url)
        return self._read(url, offset, size)

    def whole(self, url: str, most: int) -> bytes | None:
        """Returns a small file of at most ``most`` bytes; None if it does not exist."""
        try:
            size, _ = self.status(url)
        except UnreachableError as error:
            if _refused(error.__cause__):  # S3 may refuse to tell that a file does not exist
                return None
            raise
        if size > most:
            return None
        return self._read(url, 0, size) if size else b""

    def stream(self, url: str, block: int = _STREAM_BLOCK) -> BinaryIO:
        """Returns a file to read from start to end; skipping parts of it is possible.

        Raises:
            UnreachableError: the file cannot be reached, or the server sends no byte ranges.
        """
        self._check_ranges(url)
        opened = self._tried(url, lambda: self._system(url).open(url, "rb", block_size=block))
        return cast(BinaryIO, opened)

    def matches(self, pattern: str) -> list[str]:
        """Returns the URLs that an S3 pattern matches, sorted."""
        scheme = pattern.partition("://")[0]
        found = self._tried(pattern, lambda: self._system(pattern).glob(pattern))
        return [f"{scheme}://{path}" for path in sorted(found)]

    def _read(self, url: str, offset: int, size: int) -> bytes:
        end = offset + size
        data = self._tried(url, lambda: self._system(url).cat_file(url, start=offset, end=end))
        if len(data) != size:
            raise UnreachableError(
                f"{one_line(url)}: the server sent {len(data):,} bytes instead of {size:,}"
            )
        return bytes(data)

    def _check_ranges(self, url: str) -> None:
        """Checks once per host that its server sends byte ranges, and not the whole file."""
        scheme, _, rest = url.partition("://")
        host = rest.partition("/")[0]
        if scheme.lower() == "s3" or host in self._with_ranges:
            return
        if not self._tried(url, lambda: _sends_ranges(self._system(url), url)):
            raise UnreachableError(
                f"{one_line(url)}: the server supports no byte ranges. Copy the shards to a disk, "
                "or use another server"
            )
        self._with_ranges.add(host)

    def _system(self, url: str) -> Any:
        scheme = url.partition("://")[0].lower()
        key = scheme, os.getpid()  # sessions do not survive a fork
        if key not in self._systems:
            self._systems[key] = _filesystem(scheme, url)
        return self._systems[key]

    def _tried(self, url: str, call: Callable[[], T]) -> T:
        for attempt in range(1, _TRIES + 1):
            try:
                return call()
            except DataError:
                raise
            except Exception as error:  # each library raises its own
                if _refused(error) or attempt == _TRIES:
                    reason = one_line(str(error)) or type(error).__name__
                    raise UnreachableError(f"{one_line(url)} cannot be read: {reason}") from error
                if url not in self._failed:
                    self._failed.add(url)
                    _log.warning("%s: %s; trying again", one_line(url), one_line(repr(error)))
                time.sleep(_FIRST_WAIT * 2 ** (attempt - 1))
        raise AssertionError

    def __reduce__(self) -> tuple[type[Remote], tuple[()]]:
        """Sends no sessions to other processes."""
        return Remote, ()


class RemoteFile:
    """The bytes of a remote file, of which one block is held; for reading from start to end.

    Args:
        remote: reads the file.
        url: its URL.
        size: its size in bytes.
    """

    def __init__(self, remote: Remote, url: str, size: int) -> None:
        self.remote = remote
        self.url = url
        self.size = size
        self._start = 0
        self._block = b""

    def __len__(self) -> int:
        """Returns the size of the file in bytes."""
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        """Returns the bytes of ``part``, and reads more of those that follow."""
        start, end, _ = part.indices(self.size)
        if not self._start <= start <= end <= self._start + len(self._block):
            self._block = b""  # freed first
            length = min(max(end - start, _BLOCK), self.size - start)
            self._start, self._block = start, self.remote.read(self.url, start, length)
        return self._block[start - self._start : end - self._start]


def _refused(error: BaseException | None) -> bool:
    """Whether a server answered that a file does not exist or is not for this user."""
    status = getattr(error, "status", None)  # of aiohttp
    gone = status is not None and 400 <= status < 500 and status not in _BUSY
    return gone or isinstance(error, FileNotFoundError | PermissionError)


def _sends_ranges(system: Any, url: str) -> bool:
    """Requests one byte of a file; reads nothing of the answer, which may be the whole file."""
    from fsspec.asyn import sync

    async def status() -> int:
        session = await system.set_session()
        headers = system.kwargs.get("headers", {}) | {"Range": "bytes=0-0"}
        settings = system.kwargs | {"headers": headers}
        async with session.get(system.encode_url(url), **settings) as answer:
            if answer.status != 206:
                answer.raise_for_status()
            return int(answer.status)

    return bool(sync(system.loop, status) == 206)


def _filesystem(scheme: str, url: str) -> Any:
    import fsspec

    try:
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        needs = f"{scheme}:// needs more packages: {install('stream')}"
        raise DataError(f"{one_line(url)}: {needs}") from error
