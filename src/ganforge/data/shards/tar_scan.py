"""Reads the index of a tar in the layout of WebDataset: the files of a sample share a name."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np

from ganforge.data.files.encoded import inner_name, is_image
from ganforge.data.files.tape import NotATarError, Tar, opened_file
from ganforge.data.shards.index import Label, ShardIndex, is_label
from ganforge.errors import DataError

_IMAGES = ("jpg", "jpeg", "png", "webp")
_KEYS = ("label", "cls", "class")  # of a sample's .json, in this order
_LABEL_BYTES = 2**20  # a longer .cls or .json has no label
_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)


def scan_tar(file: BinaryIO, size: int) -> ShardIndex:
    """Returns the index of a tar: its images with extension jpg, jpeg, png or webp.

    As in WebDataset, the name of a sample ends at the first dot after the last ``/``. Its label is
    the text of its member ``.cls``, else ``label``, ``cls`` or ``class`` in its ``.json``.

    Args:
        file: the tar, read from start to end; images are skipped.
        size: size of the tar in bytes.

    Raises:
        DataError: the file is no tar, is compressed, or is damaged.
        Exception: any exception on damaged data.
    """
    try:
        tar = opened_file(file)
    except NotATarError as error:
        raise DataError("is not a tar, or is damaged") from error
    if tar.compressed:
        raise DataError(
            "is compressed, so that an image in it cannot be read without all before it: unpack it "
            "with gunzip (its images are compressed already)"
        )
    scan = _Scan(tar, size)
    for member in tar.members():
        scan.take(member)
    return scan.index()


class _Scan:
    def __init__(self, tar: Tar, size: int) -> None:
        self.tar = tar
        self.size = size
        self.images: dict[str, tuple[str, int, int]] = {}  # by sample: name, offset, size
        self.labels: dict[str, Label] = {}
        self.details: dict[str, Label] = {}
        self.skipped: dict[str, str] = {}

    def take(self, member: tarfile.TarInfo) -> None:
        name = inner_name(member.name)
        sample, extension = split_name(name)
        if extension == "cls" and self._readable(member):
            self.labels[sample] = label_of(self._content(member).decode(errors="replace").strip())
        elif extension == "json" and self._readable(member):
            self.details[sample] = _label_in(self._content(member))
        elif is_image(name):
            self._take_image(member, name, sample, extension)

    def _take_image(self, member: tarfile.TarInfo, name: str, sample: str, extension: str) -> None:
        if extension not in _IMAGES:
            self.skipped[name] = f"extension {extension}; expected {', '.join(_IMAGES)}"
        elif not member.isreg() or member.issparse():
            self.skipped[name] = "not a plain file"
        elif sample in self.images:
            self.skipped[name] = "another image of the same sample"
        elif member.offset_data + member.size > self.size:
            raise DataError(f"is truncated: {name} ends after the end of the file")
        else:
            self.images[sample] = (name, member.offset_data, member.size)

    def index(self) -> ShardIndex:
        places = self.images.values()
        labels = [self.labels.get(sample, self.details.get(sample)) for sample in self.images]
        return ShardIndex(
            self.size,
            [name for name, _, _ in places],
            np.array([offset for _, offset, _ in places], dtype=np.int64),
            np.array([size for _, _, size in places], dtype=np.int64),
            labels,
            skipped=self.skipped,
        )

    def _readable(self, member: tarfile.TarInfo) -> bool:
        return member.isreg() and not member.issparse() and member.size <= _LABEL_BYTES

    def _content(self, member: tarfile.TarInfo) -> bytes:
        with self.tar.file(member) as file:
            return file.read(_LABEL_BYTES)


def split_name(name: str) -> tuple[str, str]:
    """Returns the sample and the lower-case extension of a member, such as a/b and seg.png."""
    last = PurePosixPath(name).name
    extension = last.partition(".")[2]
    return name[: len(name) - len(extension)].rstrip("."), extension.lower()


def label_of(value: object) -> Label:
    """Returns a value as a label: numbers in texts become integers; None if it cannot be one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return value if isinstance(value, int | str) and is_label(value) else None


def _label_in(data: bytes) -> Label:
    try:
        details = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(details, dict):
        return None
    return next((label_of(details[key]) for key in _KEYS if key in details), None)
