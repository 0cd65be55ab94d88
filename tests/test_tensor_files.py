from __future__ import annotations

import io
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.errors import DamagedError
from ganforge.tensor_files import read_tensors


def contents() -> dict[str, Any]:
    draws = torch.Generator().manual_seed(0)
    return {
        "weights": torch.randn(64, 64, generator=draws),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "strided": torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "numbers": [1, 2.5, None, "x", (True, False)],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save(contents(), tmp_path / "x.ckpt")
    return tmp_path / "x.ckpt"


def test_what_was_written_is_read(path: Path) -> None:
    read = read_tensors(path)
    for name, value in contents().items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(read[name], value)
            assert read[name].stride() == value.stride()
        else:
            assert read[name] == value


def test_parameters_and_the_format_before_zip_are_read(tmp_path: Path) -> None:
    kept = {"weight": torch.nn.Parameter(torch.ones(2)), "size": torch.Size([1, 2])}
    for new in (True, False):
        torch.save(kept, tmp_path / "x", _use_new_zipfile_serialization=new)
        assert torch.equal(read_tensors(tmp_path / "x")["weight"], kept["weight"])


def test_no_flipped_bit_reaches_a_tensor(path: Path) -> None:
    whole, draws = path.read_bytes(), random.Random(0)
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[draws.randrange(len(whole))] ^= 1 << draws.randrange(8)
        path.write_bytes(flipped)
        try:
            read = read_tensors(path)
        except DamagedError:
            continue
        # Some bytes of a zip are irrelevant: padding, dates, attributes.
        assert torch.equal(read["weights"], contents()["weights"])


def test_a_flipped_weight_is_named(path: Path) -> None:
    flipped = bytearray(path.read_bytes())
    flipped[flipped.index(contents()["weights"].numpy().tobytes()) + 100] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(DamagedError, match=r"record 'data/0' does not match its checksum"):
        read_tensors(path)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('executed')",))


def saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def repacked(whole: bytes, change: Callable[[str, bytes], bytes], method: int) -> bytes:
    """Rewrites a zip with valid checksums."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(out, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


class Huge:
    def __reduce__(self) -> tuple[Any, ...]:
        return (bytearray, (2**40,))


WHOLE = saved(contents())
DAMAGED = {
    "empty": b"",
    "text": b"not a checkpoint",
    "cut": WHOLE[:-200],
    "begins late": WHOLE[200:],
    "head alone": WHOLE[:64],
    "pickle": pickle.dumps({"x": 1}),
    "pickled code": pickle.dumps(Evil()),
    "code": saved({"x": Evil()}),
    "allocation": saved({"x": Huge()}),
    "packed": repacked(WHOLE, lambda _, data: data, zipfile.ZIP_DEFLATED),
    "short record": repacked(
        WHOLE, lambda name, data: data[:8] if name.endswith("data/0") else data, zipfile.ZIP_STORED
    ),
    "empty zip": repacked(WHOLE[:0] + b"PK\x05\x06" + bytes(18), lambda _, d: d, 0),
}


@pytest.mark.parametrize("name", list(DAMAGED))
def test_what_is_not_whole_or_not_plain_is_refused(path: Path, name: str) -> None:
    path.write_bytes(DAMAGED[name])
    with pytest.raises(DamagedError) as raised:
        read_tensors(path)
    assert "weights_only" not in str(raised.value)
    assert str(raised.value)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "x")
