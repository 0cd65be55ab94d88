from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from typing import BinaryIO, cast

from ganforge.data.files.encoded import (
    MAX_FILE_BYTES,
    Entries,
    check_size,
    inner_name,
    is_archive,
    is_image,
    read_whole,
)
from ganforge.data.files.folder_entries import kind_of
from ganforge.errors import DataError
from ganforge.plain_text import one_line

_ENCRYPTED, _UTF8 = 0x1, 0x800  # flags of a member
_WINDOWS = 0  # the system that made it
_STREAMED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ZipEntries(Entries):
    r"""Images in a zip, read without unpacking it.

    Some tools for Windows write ``\`` between folders, and some for macOS write UTF-8 without
    saying so: both are put right. Of several members of one name the last one counts.

    Args:
        path: an existing zip file.
        max_bytes: of an unpacked member.

    Raises:
        DataError: members are encrypted.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        self.max_bytes = max_bytes
        self.path = path
        self.passed_over = {}
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}
        found = self._archive().infolist()
        utf8 = _is_utf8(found)
        for member in found:
            self._take(member, _name(member, utf8))
        self._refuse_encrypted()
        self.names = sorted(self._members)

    def read(self, name: str) -> bytes:
        """Returns the unpacked bytes of a member."""
        # zipfile unpacks a whole step of what it reads, except with deflate.
        step = 2**20 if self._members[name].compress_type in _STREAMED else 2**12
        with self.open(name) as file:
            return read_whole(file, self.max_bytes, step)

    def open(self, name: str) -> BinaryIO:
        """Returns a member, which is unpacked while it is read."""
        member = self._members[name]
        check_size(member.file_size, self.max_bytes)
        return cast(BinaryIO, self._archive().open(member))

    def stamp(self, name: str) -> str:
        """Returns size and checksum, as the archive says them."""
        member = self._members[name]
        return f"{member.file_size} {member.CRC}"

    def _take(self, member: zipfile.ZipInfo, name: str) -> None:
        if name.endswith("/"):
            return
        mode = member.external_attr >> 16 if member.create_system != _WINDOWS else 0
        if not is_image(name):
            if is_archive(name):
                self.passed_over[name] = "an archive inside of the archive"
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            self.passed_over[name] = kind_of(mode)
        else:
            if name in self._members:
                self.passed_over[name] = "an earlier member of the same name"
            self._members[name] = member

    def _refuse_encrypted(self) -> None:
        locked = [name for name, member in self._members.items() if member.flag_bits & _ENCRYPTED]
        if locked:
            raise DataError(
                f"{len(locked)} of {len(self._members)} images are encrypted, such as "
                f"{one_line(locked[0])}: unpack it with its password, and give the folder"
            )

    def _archive(self) -> zipfile.ZipFile:
        # One handle for each process: forked loader workers would share a file offset.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return self._opened[1]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}


def _is_utf8(members: list[zipfile.ZipInfo]) -> bool:
    """Whether names that are not marked as UTF-8 are in it all the same."""
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
