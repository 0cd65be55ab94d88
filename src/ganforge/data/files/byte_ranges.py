from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO

from ganforge.data.files.folder_entries import open_data

_OPEN = 64  # files that a process keeps open


class ByteRanges:
    """Reads byte ranges of local files, from any thread and after a fork.

    The most recently used files stay open. Positions are never shared: forked loader workers may
    use the files that their parent opened.
    """

    def __init__(self) -> None:
        self._files: OrderedDict[Path, BinaryIO] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Returns ``size`` bytes at ``offset``; fewer if the file ends before.

        Raises:
            OSError: the file cannot be opened or read, or is not a regular file.
        """
        if not hasattr(os, "pread"):  # Windows
            with open_data(path) as file:
                file.seek(offset)
                return file.read(size)
        file = self._opened(path)
        parts = []
        while size > 0 and (part := os.pread(file.fileno(), size, offset)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _opened(self, path: Path) -> BinaryIO:
        with self._lock:
            file = self._files.pop(path, None) or open_data(path)
            self._files[path] = file
            if len(self._files) > _OPEN:
                # Not closed here: another thread may be reading it. It is closed with its last use.
                self._files.popitem(last=False)
            return file

    def __reduce__(self) -> tuple[type[ByteRanges], tuple[()]]:
        """Sends no open files to processes that are started afresh."""
        return ByteRanges, ()
