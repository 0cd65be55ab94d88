"""Checkpoints written by a thread are those that the training thread would have written."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from lightning.fabric.plugins import CheckpointIO

from ganforge.callbacks import checkpoint_writer
from ganforge.callbacks.checkpoint_writer import CheckpointWriter, Snapshots
from ganforge.errors import RunError
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO
from tests.support.forking import fork, wait


def state() -> dict[str, Any]:
    """Tensors that share storage, views of larger ones, strides, types and nested containers."""
    torch.manual_seed(0)
    weight, table = torch.randn(4, 3, 2, 2), torch.arange(100.0)
    network = OrderedDict(weight=weight, tied=weight, column=table[5:50:9])
    network._metadata = {"": {"version": 2}}  # as in every state_dict
    return {
        "state_dict": network,
        "layout": weight.contiguous(memory_format=torch.channels_last),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "empty": torch.empty(0),
        "scalar": torch.tensor(5),
        "states": [{"step": torch.tensor(1.0), "moments": (table, torch.zeros(2))}],
        "plain": [1, None, "x", {"deep": [True, 0.5]}],
    }


class Gated(CheckpointIO):
    """Writes when the gate is open, and fails if told to."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.gate, self.errors = threading.Event(), list(errors)
        self.written: list[tuple[str, Any, str]] = []
        self.most = self.now = 0

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        assert storage_options is None
        self.now += 1
        self.most = max(self.most, self.now)
        assert self.gate.wait(30)
        self.now -= 1
        if self.errors and (error := self.errors.pop(0)):
            raise error
        self.written.append((Path(path).name, checkpoint["x"], threading.current_thread().name))

    def load_checkpoint(self, path, map_location=None, weights_only=None) -> dict[str, Any]:
        return {"written": list(self.written)}

    def remove_checkpoint(self, path) -> None:
        self.written.clear()


def test_a_file_from_the_background_has_the_same_bytes(tmp_path):
    io = AtomicCheckpointIO()
    io.save_checkpoint(state(), tmp_path / "front" / "last.ckpt")
    writer, ours = CheckpointWriter(io, background=True), state()
    writer.save_checkpoint(ours, tmp_path / "back" / "last.ckpt")
    writer.wait()
    front, back = (tmp_path / kind / "last.ckpt" for kind in ("front", "back"))
    assert front.read_bytes() == back.read_bytes()


def test_what_changes_after_the_call_is_not_written(tmp_path):
    expected, ours = state(), state()
    copied = Snapshots().take(ours)
    assert copied is not None
    content, event = copied
    assert event is None  # nothing to wait for on the CPU
    for tensor in (ours["state_dict"]["weight"], ours["states"][0]["moments"][0]):
        tensor.add_(1)
    ours["plain"][3]["deep"].append("later")
    ours["state_dict"]["new"] = 1
    AtomicCheckpointIO().save_checkpoint(content, tmp_path / "a" / "x.ckpt")
    AtomicCheckpointIO().save_checkpoint(expected, tmp_path / "b" / "x.ckpt")
    assert (tmp_path / "a/x.ckpt").read_bytes() == (tmp_path / "b/x.ckpt").read_bytes()


def test_the_memory_of_a_copy_is_used_again_for_a_state_of_the_same_shapes():
    snapshots, ours = Snapshots(), state()
    (first, _), places = snapshots.take(ours), {}
    for name in ("half", "layout"):
        places[name] = first[name].data_ptr()
    ours["half"].add_(1)
    ours["layout"] = torch.ones(7)  # of another size
    second, _ = snapshots.take(ours)
    assert torch.equal(second["half"], ours["half"])
    assert second["half"].data_ptr() == places["half"]
    assert torch.equal(second["layout"], torch.ones(7))
    assert second["state_dict"]["weight"].data_ptr() == second["state_dict"]["tied"].data_ptr()


def test_training_goes_on_and_one_write_at_most_is_in_flight():
    io = Gated()
    writer = CheckpointWriter(io, background=True)
    writer.save_checkpoint({"x": 1}, "best.ckpt", ["last.ckpt"])  # returns, with the gate closed
    assert io.written == []
    threading.Timer(0.05, io.gate.set).start()
    writer.save_checkpoint({"x": 2}, "last.ckpt")  # waits for the gate
    writer.wait()
    thread = "checkpoint-writer"
    expected = [("best.ckpt", 1, thread), ("last.ckpt", 1, thread), ("last.ckpt", 2, thread)]
    assert (io.written, io.most) == (expected, 1)


def test_a_foreground_writer_starts_no_thread():
    io = Gated()
    io.gate.set()
    writer = CheckpointWriter(io, background=False)
    writer.save_checkpoint({"x": 1}, "best.ckpt", ["last.ckpt"])
    main = threading.main_thread().name
    assert io.written == [("best.ckpt", 1, main), ("last.ckpt", 1, main)]


def test_without_memory_for_a_copy_the_foreground_writes(monkeypatch):
    def exhausted(*_: object) -> None:
        raise RuntimeError("can't allocate memory")

    monkeypatch.setattr(checkpoint_writer, "_copied", exhausted)
    io = Gated()
    io.gate.set()
    CheckpointWriter(io, background=True).save_checkpoint({"x": torch.ones(1)}, "last.ckpt")
    assert [name for _, _, name in io.written] == [threading.main_thread().name]


def failed() -> tuple[CheckpointWriter, Gated]:
    io = Gated(RunError("cannot write checkpoint last.ckpt: No space left"))
    io.gate.set()
    writer = CheckpointWriter(io, background=True)
    writer.save_checkpoint({"x": 1}, "last.ckpt", ["never.ckpt"])
    assert writer._thread is not None
    writer._thread.join()
    return writer, io


@pytest.mark.parametrize(
    "call",
    [
        lambda writer: writer.check(),
        lambda writer: writer.wait(),
        lambda writer: writer.save_checkpoint({"x": 2}, "last.ckpt"),
        lambda writer: writer.load_checkpoint("last.ckpt"),
    ],
)
def test_an_error_is_raised_once_in_the_training_thread(call):
    writer, io = failed()
    with pytest.raises(RunError, match="No space left"):
        call(writer)
    assert io.written == []
    writer.check()
    writer.save_checkpoint({"x": 3}, "last.ckpt")
    writer.wait()
    assert [value for _, value, _ in io.written] == [3]


def test_the_last_resort_tells_of_the_error(caplog):
    writer, _ = failed()
    writer.teardown()
    assert "No space left" in caplog.text


def test_a_reader_waits_for_the_file():
    io = Gated()
    writer = CheckpointWriter(io, background=True)
    writer.save_checkpoint({"x": 1}, "last.ckpt")
    writer.check()  # does not wait
    threading.Timer(0.05, io.gate.set).start()
    assert len(writer.load_checkpoint("last.ckpt")["written"]) == 1


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


@pytest.mark.parametrize("exits", ["killed", "by itself"])
def test_a_process_that_ends_during_a_write_leaves_complete_files(tmp_path, monkeypatch, exits):
    io, last, save = AtomicCheckpointIO(), tmp_path / "last.ckpt", torch.save
    io.save_checkpoint({"step": 1}, last)
    large = {"step": 2} | {str(i): torch.ones(10_000) for i in range(100)}
    if exits == "killed":
        monkeypatch.setattr(torch, "save", lambda content, file: save(content, Hanging(file)))

    def work() -> None:
        CheckpointWriter(io, background=True).save_checkpoint(large, last)
        threading._shutdown()  # what the interpreter does before it exits

    child = fork(work)
    if exits == "killed":
        deadline = time.monotonic() + 30
        while not any(path.stat().st_size > 100_000 for path in tmp_path.glob(f"*.tmp.{child}")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
    monkeypatch.undo()
    assert wait(child) == (-signal.SIGKILL if exits == "killed" else 0)
    assert io.load_checkpoint(last)["step"] == (1 if exits == "killed" else 2)
