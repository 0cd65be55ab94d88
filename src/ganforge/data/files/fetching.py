"""Downloads archives with progress messages, and unpacks them safely."""

from __future__ import annotations

import logging
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from ganforge.data.files.encoded import MAX_FILE_BYTES, is_image, read_whole
from ganforge.data.files.tape import opened
from ganforge.errors import DataError

_log = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds, for connecting and between packets

_CHUNK = 2**20
_STEPS = 10  # number of progress messages if the size is known
_STEP_BYTES = 100 * 2**20  # bytes between two messages otherwise


def fetch(url: str, path: Path) -> None:
    """Downloads a file and logs its progress ten times.

    Raises:
        DataError: the download is shorter than the server announced.
        OSError: urllib failed, or the server was silent for ``TIMEOUT`` seconds.
    """
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, path.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        _log.info("downloading %s, %s", url, _megabytes(total) if total else "of unknown size")
        received = 0
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            step = max(total // _STEPS, 1) if total else _STEP_BYTES
            if (received + len(chunk)) // step > received // step:
                part = f" of {_megabytes(total)}" if total else ""
                _log.info("%s: %s%s", path.name, _megabytes(received + len(chunk)), part)
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
        raise DataError(f"{archive.name} holds {name!r}, which would be unpacked outside: refused")
    return target


def _megabytes(count: int) -> str:
    return f"{count / 2**20:.1f} MB"
