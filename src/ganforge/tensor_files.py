"""Safe reading of ``torch.save`` files: checks that they are intact and contain plain data only."""

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
_ELEMENTS = {  # bytes per element, by torch's storage classes; all other classes use one byte
    16: ("ComplexDouble",),
    8: ("Double", "Long", "ComplexFloat"),
    4: ("Float", "Int", "QInt32"),
    2: ("Half", "BFloat16", "Short"),
}
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError)


def read_tensors(path: Path, map_location: MapLocation = "cpu") -> Any:
    """Reads tensors and plain containers.

    ``torch.load`` does not verify the checksums in the file and would return flipped bits as
    weights. Files in the format before torch 1.6 have no checksums and are not verified.

    Args:
        path: a file written by ``torch.save``.
        map_location: see ``torch.load``.

    Raises:
        OSError: the file cannot be read.
        DamagedError: it is damaged, or contains more than plain data. No code in it is executed.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) == _MAGIC:
            _verify(file, path.stat().st_size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles that it did not write
            return torch.load(path, map_location=map_location, weights_only=True)
    except OSError:
        raise
    except Exception as error:  # random bytes can raise anything in an unpickler
        # torch's own message is left out: it recommends weights_only=False.
        raise DamagedError("damaged, or contains more than plain data") from error


def _verify(file: IO[bytes], size: int) -> None:
    """Verifies the checksum of every record, in constant memory.

    Raises:
        DamagedError: a checksum does not match. The message names the first such record.
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
        raise DamagedError("damaged: truncated or modified") from error


def _refuse_packed(records: list[zipfile.ZipInfo], size: int) -> None:
    """Refuses compressed or overlapping records, which torch never writes and which fill memory."""
    total = sum(record.file_size for record in records)
    packed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
    if packed or total > size:
        raise DamagedError("not written by torch: its records are larger than the file")


def _compare(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
    try:
        with archive.open(record) as contents:
            while contents.read(_BLOCK):
                pass  # zipfile verifies the checksum at the end of the record
    except zipfile.BadZipFile as error:
        name = record.filename.partition("/")[2] or record.filename
        raise DamagedError(f"damaged: record {name!r} does not match its checksum") from error


def _refuse_misfits(archive: zipfile.ZipFile, records: list[zipfile.ZipInfo]) -> None:
    """Refuses storages that are declared larger than their records, which torch does not check.

    Raises:
        DamagedError: torch would read memory beyond a record, or allocate any declared size.
    """
    sizes = {record.filename.partition("/")[2]: record.file_size for record in records}
    pickles = [record for record in records if record.filename.endswith("/data.pkl")]
    for record in pickles:
        with archive.open(record) as contents:
            reader = _Inert(contents)
            try:
                reader.load()
            except Exception as error:  # random bytes can raise anything in an unpickler
                raise DamagedError("damaged, or contains more than plain data") from error
        for key, size in reader.storages.items():
            if sizes.get(f"data/{key}", -1) < size:
                raise DamagedError(f"damaged: storage {key!r} is larger than its record")


class _Name:
    """A placeholder for every class or function that a pickle names; calling it builds nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: object) -> _Name:
        if self.name.endswith(("bytearray", "Tensor")):
            raise pickle.UnpicklingError(
                f"{self.name} would allocate the size that the file declares"
            )
        return self

    def __setstate__(self, state: object) -> None:
        """Discards the attributes."""

    def __setitem__(self, key: object, value: object) -> None:
        """Discards an entry of a mapping."""

    def extend(self, values: object) -> None:
        """Discards entries of a list."""

    append = extend


class _Inert(pickle.Unpickler):
    """Collects the storages that a pickle refers to, without importing or building anything.

    Attributes:
        storages: largest size in bytes, by storage key.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Returns a placeholder instead of importing the class."""
        return _Name(name)

    def persistent_load(self, pid: Any) -> Any:
        """Records a storage, given as ("storage", class, key, device, elements)."""
        _, kind, key, _, elements = pid
        size = int(elements) * _element_size(kind.name)
        self.storages[str(key)] = max(size, self.storages.get(str(key), 0))
        return _Name("storage")


def _element_size(storage: str) -> int:
    """Returns the bytes per element of a storage class, such as "FloatStorage"."""
    kind = storage.removesuffix("Storage")
    return next((size for size, kinds in _ELEMENTS.items() if kind in kinds), 1)
