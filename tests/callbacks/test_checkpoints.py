"""When checkpoints are saved, and what happens to a run whose files are written by a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from ganforge.callbacks import checkpoints
from ganforge.callbacks.checkpoint_writer import CheckpointWriter
from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.errors import ConfigError, RunError
from ganforge.models.engine.processes import Agreement
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO
from tests.support import games


class Saved(Callback):
    """Records the steps at which a state is saved."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_save_checkpoint(self, trainer, pl_module, checkpoint) -> None:
        self.steps.append(pl_module.iteration)


class Clock:
    """A clock that advances by some seconds per training step."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 1000.0, seconds

    def monotonic(self) -> float:
        return self.now

    def tick(self, module: object) -> None:
        self.now += self.seconds


def saved_steps(
    monkeypatch, steps: int, tick: Callable[[object], None] | None = None, **intervals: Any
) -> list[int]:
    """Returns the steps that would be saved in a run of 8 images a step."""
    saved: list[int] = []
    agreement = Agreement()
    module = SimpleNamespace(
        iteration=0, images_seen=0, processes=SimpleNamespace(agreement=agreement)
    )
    callback = Checkpoints(**intervals)
    trainer = SimpleNamespace(world_size=1, is_global_zero=False, callbacks=[])
    monkeypatch.setattr(callback, "_write", lambda *_: saved.append(module.iteration))
    callback.on_train_start(trainer, module)
    for step in range(1, steps + 1):
        module.iteration, module.images_seen = step, 8 * step
        if tick is not None:
            tick(module)
        callback.on_train_batch_end(trainer, module, None, None, step)
        agreement.end_step()
    callback.on_train_end(trainer, module)
    return saved


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ({"every_n_steps": 5}, [5, 10, 12]),
        ({"every_n_steps": None}, [12]),
        # 8 images a step: those of steps 3, 5, 8, 10 are the first beyond 20, 40, 60, 80.
        ({"every_n_steps": None, "every_images": 20}, [3, 5, 8, 10, 12]),
        ({"every_n_steps": None, "every_images": 3}, list(range(1, 13))),
        ({"every_n_steps": 4, "every_images": 48}, [4, 6, 8, 12]),
    ],
)
def test_a_checkpoint_is_saved_when_an_interval_has_passed(monkeypatch, intervals, expected):
    assert saved_steps(monkeypatch, 12, **intervals) == expected


def test_images_are_counted_over_the_whole_run(tmp_path):
    options = {"every_n_steps": None, "every_images": 20}
    first, again, last = Saved(), Saved(), tmp_path / "checkpoints" / "last.ckpt"
    games.fit(games.game(), tmp_path, callbacks=[Checkpoints(**options), first], max_steps=4)
    callbacks = [Checkpoints(**options), again]
    games.fit(games.game(), tmp_path, resume=last, callbacks=callbacks, max_steps=9)
    assert (first.steps, again.steps) == ([3, 4], [5, 8, 9])


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ({"every_n_steps": None}, [4, 8, 11]),  # 60 s are over after 4 steps of 15.1 s
        ({"every_n_steps": 3}, [3, 6, 9, 11]),  # each checkpoint restarts the minutes
        ({"every_n_steps": 7}, [4, 7, 11]),
    ],
)
def test_minutes_are_those_since_the_last_checkpoint(monkeypatch, intervals, expected):
    clock = Clock(15.1)
    monkeypatch.setattr(checkpoints, "time", clock)
    assert saved_steps(monkeypatch, 11, clock.tick, every_minutes=1, **intervals) == expected


def test_processes_save_after_the_same_steps_and_once_each_time(monkeypatch):
    """The clock of one is three times as fast; what they propose is known one step later."""
    clocks, saved = [Clock(7.0), Clock(21.0)], [[], []]
    ranks = [Checkpoints(None, every_minutes=1) for _ in clocks]
    modules = [SimpleNamespace(iteration=0, images_seen=0) for _ in clocks]
    trainer = SimpleNamespace(is_global_zero=False, callbacks=[])
    for rank, module, clock, steps in zip(ranks, modules, clocks, saved, strict=True):
        module.processes = SimpleNamespace(agreement=Agreement())
        module.processes.agreement._several = True
        monkeypatch.setattr(checkpoints, "time", clock)
        monkeypatch.setattr(
            rank, "_write", lambda *_, m=module, steps=steps: steps.append(m.iteration)
        )
        rank.on_train_start(trainer, module)
    for step in range(1, 13):
        for rank, module, clock in zip(ranks, modules, clocks, strict=True):
            module.iteration = step
            clock.tick(module)
            monkeypatch.setattr(checkpoints, "time", clock)
            rank.on_train_batch_end(trainer, module, None, None, step)
        agreements = [module.processes.agreement for module in modules]
        largest = max(agreement._proposed["save"] for agreement in agreements)
        for agreement in agreements:
            agreement._agreed["save"] = largest
            agreement._proposed["save"] = 0
    assert saved[0] == saved[1] == [4, 8, 12]  # 63 s of the faster clock, and one step


@pytest.mark.parametrize(
    "wrong",
    [
        {"every_n_steps": 0},
        {"every_minutes": 0},
        {"every_minutes": float("nan")},
        {"every_images": -1},
        {"background": "yes"},
    ],
)
def test_wrong_values_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=rf"checkpoints\.{name} must be"):
        Checkpoints(**wrong)


def state_of(root: Path) -> dict[str, Any]:
    return AtomicCheckpointIO().load_checkpoint(root / "checkpoints" / "last.ckpt")


def test_a_run_saved_in_the_background_resumes_bit_identically(tmp_path):
    whole = games.game()
    games.fit(whole, tmp_path / "whole", callbacks=[Checkpoints(2, background=False)])
    begun = games.game()
    games.fit(begun, tmp_path / "parts", callbacks=[Checkpoints(1, background=True)], max_steps=3)
    assert state_of(tmp_path / "parts")["progress"]["iteration"] == 3
    before = AtomicCheckpointIO().load_checkpoint(tmp_path / "parts/checkpoints/previous.ckpt")
    assert before["progress"]["iteration"] == 2
    games.fit(
        games.game(),
        tmp_path / "parts",
        resume=tmp_path / "parts" / "checkpoints" / "last.ckpt",
        callbacks=[Checkpoints(2, background=True)],
    )
    ours, expected = state_of(tmp_path / "parts"), state_of(tmp_path / "whole")
    assert ours["state_dict"].keys() == expected["state_dict"].keys()
    assert all(torch.equal(ours["state_dict"][k], v) for k, v in expected["state_dict"].items())
    for one, other in zip(ours["optimizer_states"], expected["optimizer_states"], strict=True):
        for key, values in other["state"].items():
            assert all(torch.equal(one["state"][key][n], v) for n, v in values.items())
    assert not list(tmp_path.rglob("*.tmp.*"))


class Scripted(AtomicCheckpointIO):
    """Fails at one step, in whichever thread, and can wait before each write."""

    def __init__(self, at: int) -> None:
        self.at, self.gate = at, threading.Event()
        self.gate.set()

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        assert self.gate.wait(30)
        if checkpoint["progress"]["iteration"] == self.at:
            raise RunError("cannot write checkpoint: No space left")
        super().save_checkpoint(checkpoint, path)


def background_fit(root: Path, io: Scripted, *others: Callback, every: int = 2) -> None:
    callbacks = [Checkpoints(every, background=True), *others]
    trainer = games.trainer_for(model := games.game(), data := games.images(), root, callbacks)
    trainer.strategy.checkpoint_io = io
    trainer.fit(model, data)


class End(Callback):
    """Records whether a run got to its end, as RunSummary would, which comes after Checkpoints."""

    completed = False
    step = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.step = pl_module.iteration

    def on_train_end(self, trainer, pl_module) -> None:
        self.completed = True


@pytest.mark.parametrize(("at", "kept"), [(2, None), (4, 2), (6, 4)])
def test_an_error_of_the_writer_ends_the_run_before_it_is_completed(tmp_path, at, kept):
    end = End()
    with pytest.raises(RunError, match="No space left"):
        background_fit(tmp_path, Scripted(at), end)
    assert not end.completed
    assert end.step in range(at, at + 3)  # at the next save, if not before
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert (state_of(tmp_path)["progress"]["iteration"] if last.exists() else None) == kept


class Failing(Callback):
    """Fails after a step, with the writer still at work on its file."""

    def __init__(self, io: Scripted) -> None:
        self.io = io

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if pl_module.iteration == 3:
            self.io.gate.clear()
        if pl_module.iteration == 4:
            threading.Timer(0.05, self.io.gate.set).start()
            raise ValueError("something else")


@pytest.mark.parametrize(("at", "kept"), [(99, 4), (4, 2)])
def test_a_run_that_fails_waits_for_the_file_and_keeps_its_own_error(tmp_path, caplog, at, kept):
    io = Scripted(at)
    with pytest.raises(ValueError, match="something else"):
        background_fit(tmp_path, io, Failing(io))
    assert state_of(tmp_path)["progress"]["iteration"] == kept
    assert ("No space left" in caplog.text) == (at == 4)


def test_the_checkpoint_of_an_interruption_is_complete_when_it_returns(tmp_path):
    io = Scripted(99)
    written: list[int] = []

    class Interrupting(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
            if pl_module.iteration == 3:
                io.gate.clear()
                threading.Timer(0.05, io.gate.set).start()
                trainer.callbacks[0].save(trainer, pl_module)
                written.append(state_of(tmp_path)["progress"]["iteration"])

    background_fit(tmp_path, io, Interrupting())
    assert written == [3]


@pytest.mark.parametrize(
    ("background", "expected"), [("auto", False), (False, False), (True, True)]
)
def test_auto_writes_in_the_background_on_accelerators_only(tmp_path, background, expected):
    strategy = SimpleNamespace(checkpoint_io=AtomicCheckpointIO())
    callback = Checkpoints(background=background)
    writer = callback._installed_writer(strategy, torch.device("cpu"))
    assert writer.background is expected
    writer = callback._installed_writer(strategy, torch.device("cuda"))
    assert writer.background is (background is not False)
    assert isinstance(strategy.checkpoint_io, CheckpointWriter)
    assert isinstance(writer.io, AtomicCheckpointIO)  # never one writer in another
