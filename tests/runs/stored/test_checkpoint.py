from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from ganforge.errors import RunError
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO
from tests.support.forking import fork, wait


def checkpoint(value: int, size: int = 10) -> dict[str, object]:
    return {"state_dict": {"w": torch.full((size,), float(value))}, "step": value, "x": [1, None]}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_loaded(tmp_path):
    io = AtomicCheckpointIO()
    path = tmp_path / "new" / "best.ckpt"
    io.save_checkpoint(checkpoint(3), path)
    loaded = io.load_checkpoint(str(path))
    assert loaded["step"] == 3
    assert loaded["x"] == [1, None]
    assert torch.equal(loaded["state_dict"]["w"], torch.full((10,), 3.0))
    assert names(path.parent) == ["best.ckpt"]


@pytest.mark.parametrize("links", [True, False])
def test_the_old_last_becomes_previous(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_: object) -> None:
            raise OSError("no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    io = AtomicCheckpointIO()
    for value in (1, 2, 3):
        io.save_checkpoint(checkpoint(value), tmp_path / "last.ckpt")
    assert names(tmp_path) == ["last.ckpt", "previous.ckpt"]
    assert io.load_checkpoint(tmp_path / "last.ckpt")["step"] == 3
    assert io.load_checkpoint(tmp_path / "previous.ckpt")["step"] == 2


def test_an_interrupted_rotation_is_taken_up(tmp_path):
    io = AtomicCheckpointIO()
    io.save_checkpoint(checkpoint(1), tmp_path / "last.ckpt")
    os.link(tmp_path / "last.ckpt", tmp_path / "previous.ckpt")  # killed before the second rename
    io.save_checkpoint(checkpoint(2), tmp_path / "last.ckpt")
    assert names(tmp_path) == ["last.ckpt", "previous.ckpt"]
    assert io.load_checkpoint(tmp_path / "previous.ckpt")["step"] == 1


class Hanging:
    """A file on a disk that hangs after 100 kB."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def write(self, data: bytes) -> int:
        done = self.file.write(data)
        self.file.flush()
        if self.file.tell() > 100_000:
            time.sleep(60)
        return done

    def flush(self) -> None:
        self.file.flush()


def test_sigkill_in_the_middle_of_a_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    io = AtomicCheckpointIO()
    last = tmp_path / "last.ckpt"
    io.save_checkpoint(checkpoint(1), last)
    large = {str(i): torch.ones(10_000) for i in range(100)}
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda content, file: save(content, Hanging(file)))
    child = fork(lambda: io.save_checkpoint(large, last))
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size > 100_000 for path in tmp_path.glob(f"*.tmp.{child}")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    assert wait(child) == -signal.SIGKILL
    assert io.load_checkpoint(last)["step"] == 1
    assert list(tmp_path.glob(f"*.tmp.{child}"))
    io.clean(tmp_path)
    assert names(tmp_path) == ["last.ckpt"]


@pytest.mark.parametrize("call", ["replace", "fsync", "link"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_sigkill_at_any_system_call_leaves_a_loadable_checkpoint(tmp_path, monkeypatch, call, nth):
    io = AtomicCheckpointIO()
    last = tmp_path / "last.ckpt"
    for value in (1, 2):
        io.save_checkpoint(checkpoint(value), last)
    real, calls = getattr(os, call), iter(range(1, 100))

    def deadly(*arguments: Any) -> None:
        if next(calls) == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments)

    monkeypatch.setattr(os, call, deadly)
    new = checkpoint(3)
    wait(fork(lambda: io.save_checkpoint(new, last)))
    monkeypatch.undo()
    kept = io.load_checkpoint(last)["step"], io.load_checkpoint(tmp_path / "previous.ckpt")["step"]
    assert kept in [(2, 1), (2, 2), (3, 2)]
    io.clean(tmp_path)
    assert names(tmp_path) == ["last.ckpt", "previous.ckpt"]


def test_a_full_disk_is_named_and_leaves_everything_as_it_was(tmp_path):
    io = AtomicCheckpointIO()
    last, told = tmp_path / "checkpoints" / "last.ckpt", tmp_path / "told"
    for value in (1, 2):
        io.save_checkpoint(checkpoint(value), last)

    large = {"w": torch.zeros(1_000_000)}  # here: a forked child has no threads to fill it with

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            io.save_checkpoint(large, last)
        except RunError as error:
            told.write_text(str(error))

    assert wait(fork(fill)) == 0
    assert f"cannot write checkpoint {last}: File too large" in told.read_text()
    assert names(last.parent) == ["last.ckpt", "previous.ckpt"]
    assert io.load_checkpoint(last)["step"] == 2
    assert io.load_checkpoint(last.with_name("previous.ckpt"))["step"] == 1


def test_what_cannot_be_saved_is_no_matter_of_the_disk(tmp_path):
    with pytest.raises(Exception, match=r"pickle|lambda|local") as caught:
        AtomicCheckpointIO().save_checkpoint({"f": lambda: 0}, tmp_path / "last.ckpt")
    assert not isinstance(caught.value, RunError)
    assert names(tmp_path) == []


def test_a_damaged_checkpoint_leaves_the_previous_one(tmp_path):
    io = AtomicCheckpointIO()
    last = tmp_path / "last.ckpt"
    for value in (1, 2):
        io.save_checkpoint(checkpoint(value), last)
    last.write_bytes(last.read_bytes()[:200])
    with pytest.raises(RunError, match=r"cannot read checkpoint .*last.ckpt: damaged"):
        io.load_checkpoint(last)
    assert io.load_checkpoint(tmp_path / "previous.ckpt")["step"] == 1


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02."])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(RunError, match="cannot read checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "x.ckpt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match="there is no checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "x.ckpt")


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("/nonexistent/evil",))


def test_code_in_a_checkpoint_is_never_run(tmp_path):
    torch.save({"x": Evil()}, tmp_path / "x.ckpt")
    with pytest.raises(RunError, match="cannot read checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "x.ckpt", weights_only=False)
