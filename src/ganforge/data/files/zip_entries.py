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
    read_whole,
)
from ganforge.data.files.folder_entries import kind_of
from ganforge.errors import DataError
from ganforge.plain_text import one_line

_ENCRYPTED, _UTF8 = 0x1, 0x800  # flag bits of a member
_WINDOWS = 0  # value of create_system
_STREAMED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


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
