from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ganforge.cache_home import user_cache
from ganforge.errors import DataError
from ganforge.paths import typed_path

_TIMEOUT = 30.0  # socket timeout in seconds; torchvision's downloads set none and could hang
_SILENCE = 120.0  # seconds without file growth; checking a large file also causes such pauses
_GLANCE = 5.0  # seconds between two checks of the size


def cache_folder() -> Path:
    """Returns the folder of downloads: ``GANFORGE_DATA``, else ``~/.cache/ganforge/data``."""
    given = os.environ.get("GANFORGE_DATA")
    return typed_path(given) if given else user_cache() / "data"


@dataclass(frozen=True)
class Origin:
    """Location of a public data set, and how to download it.

    Attributes:
        name: the option of ``conf/data``, also the name of the folder in the cache.
        files: files expected under the root, for messages.
        present: returns whether a root contains the data set.
        download: downloads the data set into an empty root; None if that is impossible.
        advice: further advice for the message if the data set is missing.
    """

    name: str
    files: tuple[str, ...]
    present: Callable[[Path], bool]
    download: Callable[[Path], object] | None = None
    advice: str = ""

    def folder(self, root: str | None) -> Path:
        """Returns the given root, or the data set's folder in the cache."""
        return typed_path(root) if root else cache_folder() / self.name

    def obtain(self, root: str | None) -> None:
        """Downloads the data set into the cache if it is missing there and no root is given.

        Raises:
            DataError: the root does not contain the data set, or the download failed.
        """
        folder = self.folder(root)
        if self.present(folder):
            return
        if root is not None or self.download is None:
            raise self.missing(root)
        try:
            self._download_into(folder)
        except Exception as error:  # torchvision, urllib and gdown raise all kinds
            raise self._failed(folder, _short(error)) from error

    def missing(self, root: str | None) -> DataError:
        """Returns the error for a root that does not contain the data set."""
        folder = self.folder(root)
        return DataError(
            f"data={self.name}: {folder} {_holds(folder)}; expected: {', '.join(self.files)}. "
            f"Put them there, or say where they are with data.root=PATH. {self.advice}".rstrip()
        )

    def _failed(self, folder: Path, reason: str) -> DataError:
        return DataError(
            f"data={self.name} could not be downloaded ({reason}). Get {', '.join(self.files)} "
            f"from elsewhere and put them under {folder}, or say where they are with "
            f"data.root=PATH. {self.advice}".rstrip()
        )

    def _download_into(self, folder: Path) -> None:
        """Downloads next to the final folder, then moves: no incomplete file is ever visible."""
        assert self.download is not None
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=folder.parent))
        try:
            with _timeout(_TIMEOUT):
                _while_it_grows(partial, self.download)
            if not self.present(partial):
                raise DataError("the download left no complete data set")
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
        thread.join(_GLANCE)
        if not thread.is_alive():
            break
        now = _size(folder)
        silent = silent + _GLANCE if now == size else 0.0
        size = now
        if silent >= _SILENCE:
            raise TimeoutError(f"the server was silent for {_SILENCE:g} seconds")
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


def _holds(folder: Path) -> str:
    if not folder.exists():
        return "does not exist"
    if not folder.is_dir():
        return "is a file"
    names = sorted(path.name for path in folder.iterdir())
    return f"holds {', '.join([*names[:5], '...'] if len(names) > 5 else names) or 'nothing'}"


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
