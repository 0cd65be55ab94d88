"""Reading small files from untrusted sources: links, devices and oversized files are refused."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

from ganforge.errors import RunError

MOST_BYTES = 64 * 2**20
# A link in a copied folder could point anywhere; opening a FIFO would block until someone writes.
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """Opens a regular file and returns its descriptor.

    Args:
        path: path of the file; a link is not followed.
        flags: flags of ``os.open``, such as ``os.O_RDWR | os.O_CREAT``.
        mode: permissions of a new file, before the umask.

    Raises:
        OSError: the file cannot be opened, is a link, or is not a regular file.
    """
    try:
        descriptor = os.open(path, flags | _SAFELY, mode)
    except OSError as error:
        if os.path.islink(path):
            raise OSError(errno.ELOOP, "is a link, which is not followed", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return descriptor


def read_regular(path: Path, most: int = MOST_BYTES) -> bytes:
    """Returns the contents of a regular file.

    Args:
        path: path of the file; a link is not followed.
        most: maximum size in bytes.

    Raises:
        OSError: the file cannot be read, is a link, is not a regular file, or is too large.
    """
    with open(open_regular(path), "rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"is larger than {most} bytes", str(path))
        return file.read(most)


def read_json(path: Path) -> Any:
    """Returns the value stored in a run's JSON file.

    Raises:
        RunError: the file cannot be read or is not valid JSON. The message names the file.
        FileNotFoundError: the file does not exist.
    """
    try:
        return json.loads(read_regular(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error})") from error
    except RecursionError:
        raise RunError(f"{path}: damaged (it is nested too deeply)") from None
    except ValueError as error:  # includes UnicodeDecodeError
        raise RunError(f"{path}: damaged ({error})") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """Returns the mapping stored in a JSON file; empty if the file is missing or damaged."""
    try:
        value = read_json(path)
    except (FileNotFoundError, RunError):
        return {}
    return value if isinstance(value, dict) else {}
