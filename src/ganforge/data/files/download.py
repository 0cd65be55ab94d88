from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from ganforge.data.files.encoded import MAX_FILE_BYTES, first_of, is_image, megabytes, read_whole
from ganforge.data.files.tape import opened
from ganforge.errors import DataError
from ganforge.paths import typed_path, user_cache

_TIMEOUT = 30.0  # socket timeout in seconds; torchvision's downloads set none and could hang
_SILENCE = 120.0  # seconds without file growth; checking a large file also causes such pauses
_INTERVAL = 5.0  # seconds between two checks of the size
_CHUNK = 2**20  # bytes per read
_MESSAGES = 10  # number of progress messages if the size is known
_MESSAGE_BYTES = 100 * 2**20  # bytes between two messages otherwise

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Returns the folder of downloads: ``GANFORGE_DATA``, else ``~/.cache/ganforge/data``."""
    folder = os.environ.get("GANFORGE_DATA")
    return typed_path(folder) if folder else user_cache() / "data"


@dataclass(frozen=True)
class Origin:
    """Location of a public data set, and how to download it.

    Attributes:
        name: the option of ``conf/data``, also the name of the folder in the cache.
        files: files expected under the root, for messages.
        find: returns the path of the data set in a root; None if it is incomplete.
        download: downloads the data set into an empty root; None if that is impossible.
        advice: further advice for the message if the data set is missing.
    """

    name: str
    files: tuple[str, ...]
    find: Callable[[Path], Path | None]
    download: Callable[[Path], object] | None = None
    advice: str = ""

    def folder(self, root: str | None) -> Path:
        """Returns the root, or the data set's folder in the cache."""
        return typed_path(root) if root else cache_folder() / self.name

    def located(self, root: str | None) -> Path:
        """Returns the path of the data set; raises DataError if it is incomplete."""
        path = self.find(self.folder(root))
        if path is None:
            raise self.missing(root)
        return path

    def obtain(self, root: str | None) -> None:
        """Downloads the data set into the cache if it is missing there and no root is given.

        Raises:
            DataError: the root does not contain the data set, or the download failed.
        """
        folder = self.folder(root)
        if self.find(folder):
            return
        if root is not None or self.download is None:
            raise self.missing(root)
        try:
            self._download_into(folder)
        except Exception as error:  # torchvision, urllib and gdown raise all kinds
            raise self._error(f"could not be downloaded ({_short(error)})", folder) from error

    def missing(self, root: str | None) -> DataError:
        """Returns the error for a root that does not contain the data set."""
        folder = self.folder(root)
        return self._error(f"{folder} {_contents(folder)}", folder)

    def _error(self, fault: str, folder: Path) -> DataError:
        return DataError(
            f"data={self.name}: {fault}. Put {', '.join(self.files)} into {folder}, or set "
            f"data.root=PATH to their folder. {self.advice}".rstrip()
        )

    def _download_into(self, folder: Path) -> None:
        """Downloads next to the final folder, then moves: no incomplete file is ever visible."""
        assert self.download is not None
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=folder.parent))
        try:
            with _timeout(_TIMEOUT):
                _while_it_grows(partial, self.download)
            if not self.find(partial):
                raise DataError("the downloaded data set is incomplete")
            folder.mkdir(exist_ok=True)
            for path in partial.iterdir():
                _move(path, folder / path.name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _while_it_grows(folder: Path, download: Callable[[Path], object]) -> None:
    """Downloads into a folder, and gives up when the files in it stop growing.

    gdown ignores the default socket timeout and waits forever for a silent server.

    Raises:
        TimeoutError: no file grew for ``_SILENCE`` seconds.
    """
    size, silent = -1, 0.0
    failed: list[Exception] = []

    def run() -> None:
        try:
            download(folder)
        except Exception as error:
            failed.append(error)

    # A hanging thread is abandoned; as a daemon it does not block the exit of the process.
    thread = threading.Thread(target=run, name="download", daemon=True)
    thread.start()
    while True:
        thread.join(_INTERVAL)
        if not thread.is_alive():
            break
        now = _size(folder)
        silent = silent + _INTERVAL if now == size else 0.0
        size = now
        if silent >= _SILENCE:
            raise TimeoutError(f"the server sent nothing for {_SILENCE:g} seconds")
    if failed:
        raise failed[0]


def _size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # removed in the meantime, for example after unpacking
            size += path.stat().st_size
    return size


def _move(source: Path, target: Path) -> None:
    """Moves a file or folder atomically, or merges a folder into an existing one."""
    if not (source.is_dir() and target.is_dir()):
        os.replace(source, target)
        return
    for path in source.iterdir():
        _move(path, target / path.name)


def _contents(folder: Path) -> str:
    if not folder.exists():
        return "does not exist"
    if not folder.is_dir():
        return "is a file"
    names = sorted(path.name for path in folder.iterdir())
    return f"contains {first_of(names, 5)}" if names else "is empty"


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


def fetch(url: str, path: Path) -> None:
    """Downloads a file and logs its progress ten times.

    Raises:
        DataError: the download is shorter than the server announced.
        OSError: urllib failed, or the server was silent for ``_TIMEOUT`` seconds.
    """
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, path.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        _log.info("downloading %s, %s", url, megabytes(total) if total else "of unknown size")
        received = 0
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            step = max(total // _MESSAGES, 1) if total else _MESSAGE_BYTES
            if (received + len(chunk)) // step > received // step:
                part = f" of {megabytes(total)}" if total else ""
                _log.info("%s: %s%s", path.name, megabytes(received + len(chunk)), part)
            received += len(chunk)
    if received < total:
        raise DataError(f"{url} ended after {received} of {total} bytes")


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks the images, and only the images, of a zip or tar into a folder.

    Raises:
        DataError: the archive is damaged, or a member would be unpacked outside of the folder.
    """
    try:
        for name, open_member in _members(archive):
            target = _inside(folder, name, archive)
            if not is_image(name):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_member() as source, target.open("wb") as file:
                file.write(read_whole(cast(BinaryIO, source), MAX_FILE_BYTES))
    except DataError:
        raise
    except Exception as error:  # damaged archives cause exceptions of any type
        raise DataError(f"{archive.name} cannot be unpacked: {error}") from error


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                yield name, partial(packed.open, name)
        return
    with opened(archive) as tar:
        for member in tar.members():
            if member.isfile():  # skip links: they may point outside of the folder
                yield member.name, partial(tar.file, member)


def _inside(folder: Path, name: str, archive: Path) -> Path:
    path = PurePosixPath(name)
    target = folder / path
    if path.is_absolute() or "\\" in name or ".." in path.parts or folder not in target.parents:
        raise DataError(
            f"refused to unpack {archive.name}: {name!r} would be outside of the folder"
        )
    return target
