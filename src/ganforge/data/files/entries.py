"""Opens a folder tree, zip or tar of encoded images as :class:`Entries`."""

from __future__ import annotations

import logging
import os
import stat
import zipfile
from pathlib import Path

from ganforge.data.files.archive_entries import TarEntries, ZipEntries
from ganforge.data.files.encoded import MAX_FILE_BYTES, SUFFIXES, Entries, first_of, is_archive
from ganforge.data.files.folder_entries import FolderEntries, kind_of, open_data
from ganforge.data.files.tape import NotATarError
from ganforge.errors import DataError
from ganforge.plain_text import one_line

_log = logging.getLogger(__name__)
_LISTED = 3
_EXPECTED = "expected a folder, zip or tar of images"


def open_entries(path: Path, max_bytes: int = MAX_FILE_BYTES, quiet: bool = False) -> Entries:
    """Returns the images in a folder or archive, and warns about skipped files.

    Args:
        path: a folder, zip or tar.
        max_bytes: maximum size of one encoded image.
        quiet: suppress the warning, for images that were opened before.

    Raises:
        DataError: the path contains no images or cannot be read.
    """
    text = one_line(path)
    try:
        entries = _opened(path, os.stat(path).st_mode, max_bytes)
    except FileNotFoundError as error:
        raise DataError(f"{text} does not exist; {_EXPECTED}") from error
    except OSError as error:
        raise DataError(f"{text} cannot be read: {error.strerror or error}") from error
    summary = _summary(entries.skipped)
    if not entries.names:
        expected = f"expected files like {' '.join(sorted(SUFFIXES))}"
        raise DataError(f"{text} contains no images: {f'{summary}; ' if summary else ''}{expected}")
    if summary and not quiet:
        _log.warning("%s: %s", text, summary)
    return entries


def _opened(path: Path, mode: int, max_bytes: int) -> Entries:
    text = one_line(path)
    if stat.S_ISDIR(mode):
        return FolderEntries(path, max_bytes)
    if not stat.S_ISREG(mode):
        raise DataError(f"{text} is {kind_of(mode)}; {_EXPECTED}")
    try:
        return _archive(path, max_bytes)
    except NotATarError as error:
        damaged = " or is damaged" if is_archive(path.name) else ""
        raise DataError(f"{text} is not a zip or tar{damaged}; {_EXPECTED}") from error
    except DataError as error:
        raise DataError(f"{text}: {error}") from error
    except OSError:
        raise
    except Exception as error:  # damaged archives cause exceptions of any type
        reason = one_line(str(error)) or type(error).__name__
        raise DataError(f"{text} cannot be read: {reason}") from error


def _archive(path: Path, max_bytes: int) -> Entries:
    # is_zipfile searches the end of the file, so a tar whose last member is a zip matches too:
    # check the first bytes. A self-extracting zip starts with a program; it is tried last.
    with open_data(path) as file:
        zipped = file.read(2) == b"PK"
    if zipped and zipfile.is_zipfile(path):
        return ZipEntries(path, max_bytes)
    try:
        return TarEntries(path, max_bytes)
    except NotATarError:
        if zipfile.is_zipfile(path):
            return ZipEntries(path, max_bytes)
        raise


def _summary(skipped: dict[str, str]) -> str:
    """Returns one line on skipped files and the reasons; empty if there are none."""
    names = list(skipped)
    if not names:
        return ""
    reasons = [f"{one_line(name)} ({one_line(skipped[name])})" for name in names]
    files = "1 file" if len(names) == 1 else f"{len(names)} files"
    return f"skipped {files}: {first_of(reasons, _LISTED)}"
