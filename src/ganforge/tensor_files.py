"""Files of ``torch.save``, read only once they are known to be whole and to hold plain data."""

from __future__ import annotations

import pickle
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch

from ganforge.errors import DamagedError

MapLocation = Callable[[Any, str], Any] | str | None

_MAGIC = b"PK\x03\x04"
_BLOCK = 2**20
_ELEMENTS = {  # bytes of each, by the names of torch's classes of storages; all others have one
    16: ("ComplexDouble",),
    8: ("Double", "Long", "ComplexFloat"),
    4: ("Float", "Int", "QInt32"),
    2: ("Half", "BFloat16", "Short"),
}
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError)


def read_tensors(path: Path, map_location: MapLocation = "cpu") -> Any:
    """Reads tensors and plain containers.

    torch does not compare the checksums that it writes, and would return flipped bits as weights.
    Files in the format before torch 1.6 have no checksums; they are read as they are.

    Args:
        path: a file of ``torch.save``.
        map_location: as of ``torch.load``.

    Raises:
        OSError: the file cannot be read.
        DamagedError: it is damaged, or holds more than plain data. Nothing of it is executed.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) == _MAGIC:
            _verify(file, path.stat().st_size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that torch did not write
            return torch.load(path, map_location=map_location, weights_only=True)
    except OSError:
        raise
    except Exception as error:  # random bytes can raise anything in an unpickler
        # Without torch's own text, which advises to switch weights_only off.
        raise DamagedError("damaged, or holds more than plain data") from error


def _verify(file: IO[bytes], size: int) -> None:
    """Compares every record with its checksum, in constant memory.

    Raises:
        DamagedError: naming the first record that differs.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
            _refuse_packed(records, size)
            for record in records:
                _compare(archive, record)
            _refuse_misfits(archive, records)
    except DamagedError:
        raise
    except _BROKEN as error:
        raise DamagedError("damaged: cut off, or not as it was written") from error


def _refuse_packed(records: list[zipfile.ZipInfo], size: int) -> None:
    """Refuses what torch never writes: packed or overlapping records, which fill memory."""
    total = sum(record.file_size for record in records)
    packed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
    if packed or total > size:
        raise DamagedError("not as torch writes it: its records are larger than the file")


def _compare(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
    try:
        with archive.open(record) as contents:
            while contents.read(_BLOCK):
                pass  # the checksum is compared at the end of the record
    except zipfile.BadZipFile as error:
        name = record.filename.partition("/")[2] or record.filename
        raise DamagedError(f"damaged: record {name!r} does not match its checksum") from error


def _refuse_misfits(archive: zipfile.ZipFile, records: list[zipfile.ZipInfo]) -> None:
    """Refuses storages that are declared larger than their records, which torch does not compare.

    Raises:
        DamagedError: torch would read memory behind a record, or allocate what a number says.
    """
    sizes = {record.filename.partition("/")[2]: record.file_size for record in records}
    pickles = [record for record in records if record.filename.endswith("/data.pkl")]
    for record in pickles:
        with archive.open(record) as contents:
            reader = _Inert(contents)
            try:
                reader.load()
            except Exception as error:  # as above
                raise DamagedError("damaged, or holds more than plain data") from error
        for key, size in reader.storages.items():
            if sizes.get(f"data/{key}", -1) < size:
                raise DamagedError(f"damaged: storage {key!r} is larger than its record")


class _Name:
    """Stands for whatever a pickle names; calling it builds nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: object) -> _Name:
        if self.name.endswith(("bytearray", "Tensor")):
            raise pickle.UnpicklingError(f"{self.name} would allocate what a number says")
        return self

    def __setstate__(self, state: object) -> None:
        """Takes attributes, and forgets them."""

    def __setitem__(self, key: object, value: object) -> None:
        """Takes an entry of a mapping, and forgets it."""

    def extend(self, values: object) -> None:
        """Takes entries of a list, and forgets them."""

    append = extend


class _Inert(pickle.Unpickler):
    """Notes the storages that a pickle refers to. Imports and builds nothing.

    Attributes:
        storages: bytes by key.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Returns a stand-in."""
        return _Name(name)

    def persistent_load(self, pid: Any) -> Any:
        """Notes a storage: ("storage", class, key, device, elements)."""
        _, kind, key, _, elements = pid
        size = int(elements) * _element_size(kind.name)
        self.storages[str(key)] = max(size, self.storages.get(str(key), 0))
        return _Name("storage")


def _element_size(storage: str) -> int:
    """Returns the bytes of an element of a class of storages."""
    kind = storage.removesuffix("Storage")
    return next((size for size, kinds in _ELEMENTS.items() if kind in kinds), 1)
