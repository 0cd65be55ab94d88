"""Images in a zip or a tar, read without unpacking it."""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from ganforge.data.files.byte_ranges import ByteRanges
from ganforge.data.files.encoded import (
    MAX_FILE_BYTES,
    Entries,
    check_size,
    inner_name,
    megabytes,
    read_whole,
)
from ganforge.data.files.folder_entries import kind_of
from ganforge.data.files.tape import Tar, opened
from ganforge.errors import DataError
from ganforge.plain_text import one_line

_ENCRYPTED, _UTF8 = 0x1, 0x800  # flag bits of a member
_WINDOWS = 0  # value of create_system
_STREAMED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Maximum memory for the images of a tar, including _ENTRY bytes of overhead for each. A larger tar
# is read from disk, unless it is compressed.
MAX_HELD = 4 * 2**30
_ENTRY = 512
_ADVICE = "Unpack the tar and set the path to the folder"
_HOPS = 40  # maximum length of a chain of links, as on Linux


class ZipEntries(Entries):
    r"""Images in a zip, read without unpacking it.

    Some Windows tools write ``\`` between folders, and some macOS tools write UTF-8 names without
    setting the flag; both are corrected. If several members have the same name, the last one is
    used.

    Args:
        path: an existing zip file.
        max_bytes: maximum unpacked size of a member.

    Raises:
        DataError: members are encrypted.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        super().__init__(max_bytes)
        self.path = path
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}
        members = self._archive().infolist()
        utf8 = _is_utf8(members)
        for member in members:
            self._take(member, _name(member, utf8))
        self._refuse_encrypted()
        self.names = sorted(self._members)

    def read(self, name: str) -> bytes:
        """Returns the unpacked bytes of a member."""
        # Except with deflate, zipfile unpacks a whole step of input at once, however large that
        # becomes: small steps keep the size check of read_whole effective.
        step = 2**20 if self._members[name].compress_type in _STREAMED else 2**12
        with self.open(name) as file:
            return read_whole(file, self.max_bytes, step)

    def open(self, name: str) -> BinaryIO:
        """Returns a member as a file that is unpacked on read."""
        member = self._members[name]
        check_size(member.file_size, self.max_bytes)
        return cast(BinaryIO, self._archive().open(member))

    def stamp(self, name: str) -> str:
        """Returns size and checksum from the zip's directory."""
        member = self._members[name]
        return f"{member.file_size} {member.CRC}"

    def _take(self, member: zipfile.ZipInfo, name: str) -> None:
        if name.endswith("/") or not self._accepts(name):
            return
        mode = member.external_attr >> 16 if member.create_system != _WINDOWS else 0
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            self.skipped[name] = kind_of(mode)
        else:
            if name in self._members:
                self.skipped[name] = "replaced by a later member of the same name"
            self._members[name] = member

    def _refuse_encrypted(self) -> None:
        members = self._members
        encrypted = [name for name in members if members[name].flag_bits & _ENCRYPTED]
        if encrypted:
            raise DataError(
                f"{len(encrypted)} of {len(members)} images are encrypted, such as "
                f"{one_line(encrypted[0])}: unpack the zip with its password and set the path to "
                "the folder"
            )

    def _archive(self) -> zipfile.ZipFile:
        # One handle per process: forked loader workers would share the file offset.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return self._opened[1]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}


def _is_utf8(members: list[zipfile.ZipInfo]) -> bool:
    """Whether all names without the UTF-8 flag are valid UTF-8 nevertheless."""
    unmarked = [m.orig_filename for m in members if not m.flag_bits & _UTF8]
    try:
        for name in unmarked:
            name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return False
    return True


def _name(member: zipfile.ZipInfo, utf8: bool) -> str:
    name = member.filename
    if utf8 and not member.flag_bits & _UTF8:
        name = name.encode("cp437").decode("utf-8", "replace")
    if member.create_system == _WINDOWS or "/" not in name:
        name = name.replace("\\", "/")
    return inner_name(name)


class TarEntries(Entries):
    """Images in a tar.

    A tar of up to 4 GB, or a compressed one, which has no random access, is held in memory in
    encoded form. A larger one is read from disk, one image at a time. Links to images in the same
    tar are resolved. If several members have the same name, the last one is used.

    Args:
        path: an existing tar file, compressed or not.
        max_bytes: maximum size of a member, at most ``MAX_FILE_BYTES``.

    Raises:
        DataError: the tar is damaged, or it is compressed and too large for memory.
        Exception: any exception on damaged data.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        super().__init__(min(max_bytes, MAX_FILE_BYTES))
        self.path = path
        self._folder_takes_more = max_bytes > MAX_FILE_BYTES
        self._data: dict[str, bytes] = {}
        self._places: dict[str, tuple[int, int]] = {}  # offset and size, of images read from disk
        self._ranges = ByteRanges()
        self._time = path.stat().st_mtime_ns
        self._too_large: dict[str, int] = {}
        self._links: dict[str, str] = {}
        self._held = 0
        with opened(path) as tar:
            self._on_disk = not tar.compressed and path.stat().st_size > MAX_HELD
            for member in tar.members():
                self._take(tar, member)
        self._resolve_links()
        self.names = sorted([*self._data, *self._places, *self._too_large])

    def read(self, name: str) -> bytes:
        """Returns the bytes of a member."""
        if name in self._too_large:
            size = megabytes(self._too_large[name])
            most = megabytes(self.max_bytes)
            advice = f". {_ADVICE}" if self._folder_takes_more else ""
            raise DataError(f"is {size}; an image in a tar may have at most {most}{advice}")
        if name in self._places:
            offset, size_on_disk = self._places[name]
            check_size(size_on_disk, self.max_bytes)
            return self._ranges.read(self.path, offset, size_on_disk)
        return self._data[name]

    def stamp(self, name: str) -> str:
        """Returns size and checksum; if read from disk, size, position and time of the tar."""
        if name in self._too_large:
            return f"{self._too_large[name]} too large"
        if name in self._places:
            offset, size = self._places[name]
            return f"{size} at {offset} {self._time}"
        return f"{len(self._data[name])} {zlib.crc32(self._data[name])}"

    def _take(self, tar: Tar, member: tarfile.TarInfo) -> None:
        name = member.name if "/" in member.name else member.name.replace("\\", "/")
        name = inner_name(name)
        if not self._accepts(name) or member.isdir():
            return
        known = (self._data, self._places, self._too_large, self._links)
        if any(name in members for members in known):
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
        if self._on_disk and not member.issparse():
            self._places[name] = (member.offset_data, member.size)
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
        self._places.pop(name, None)
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
            elif target in self._places:
                self._places[name] = self._places[target]
            else:
                self.skipped[name] = f"a link to {target}, which is not an image in the archive"
