from __future__ import annotations

import posixpath
import tarfile
import zlib
from pathlib import Path

from ganforge.data.files.encoded import (
    MAX_FILE_BYTES,
    Entries,
    inner_name,
    megabytes,
    read_whole,
)
from ganforge.data.files.tape import Tar, opened
from ganforge.errors import DataError

# Maximum memory for the images of a tar, including _ENTRY bytes of overhead for each.
MAX_HELD = 4 * 2**30

_ENTRY = 512
_ADVICE = "Unpack the tar and set the path to the folder"
_HOPS = 40  # maximum length of a chain of links, as on Linux


class TarEntries(Entries):
    """Images in a tar, held in memory in encoded form: compressed tars have no random access.

    Links to images in the same tar are resolved. If several members have the same name, the last
    one is used.

    Args:
        path: an existing tar file, compressed or not.
        max_bytes: maximum size of a member, at most ``MAX_FILE_BYTES``.

    Raises:
        DataError: the tar is damaged or too large for memory.
        Exception: any exception on damaged data.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        super().__init__(min(max_bytes, MAX_FILE_BYTES))
        self._folder_takes_more = max_bytes > MAX_FILE_BYTES
        self._data: dict[str, bytes] = {}
        self._too_large: dict[str, int] = {}
        self._links: dict[str, str] = {}
        self._held = 0
        with opened(path) as tar:
            for member in tar.members():
                self._take(tar, member)
        self._resolve_links()
        self.names = sorted([*self._data, *self._too_large])

    def read(self, name: str) -> bytes:
        """Returns the bytes of a member."""
        if name in self._too_large:
            size = megabytes(self._too_large[name])
            most = megabytes(self.max_bytes)
            advice = f". {_ADVICE}" if self._folder_takes_more else ""
            raise DataError(f"is {size}; an image in a tar may have at most {most}{advice}")
        return self._data[name]

    def stamp(self, name: str) -> str:
        """Returns size and checksum."""
        if name in self._too_large:
            return f"{self._too_large[name]} too large"
        return f"{len(self._data[name])} {zlib.crc32(self._data[name])}"

    def _take(self, tar: Tar, member: tarfile.TarInfo) -> None:
        name = member.name if "/" in member.name else member.name.replace("\\", "/")
        name = inner_name(name)
        if not self._accepts(name) or member.isdir():
            return
        if any(name in members for members in (self._data, self._too_large, self._links)):
            self._forget(name)
        if member.isfile():
            self._keep(tar, member, name)
        elif member.islnk() or member.issym():
            folder = posixpath.dirname(name) if member.issym() else ""
            target = posixpath.normpath(posixpath.join(folder, member.linkname))
            self._links[name] = inner_name(target)
        else:
            self.skipped[name] = "neither a file nor a link"

    def _keep(self, tar: Tar, member: tarfile.TarInfo, name: str) -> None:
        if member.size > self.max_bytes:
            self._too_large[name] = member.size
            return
        self._held += member.size + _ENTRY
        if self._held > MAX_HELD:
            raise DataError(
                f"its images, which are held in memory, take over {megabytes(MAX_HELD)}. {_ADVICE}"
            )
        with tar.file(member) as file:
            self._data[name] = read_whole(file, self.max_bytes)

    def _forget(self, name: str) -> None:
        self._held -= len(self._data.pop(name, b""))
        self._too_large.pop(name, None)
        self._links.pop(name, None)
        self.skipped[name] = "replaced by a later member of the same name"

    def _resolve_links(self) -> None:
        for name, target in self._links.items():
            for _ in range(_HOPS):
                if target not in self._links:
                    break
                target = self._links[target]
            if target in self._data:
                self._data[name] = self._data[target]
            else:
                self.skipped[name] = f"a link to {target}, which is not an image in the archive"
