from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from ganforge.callbacks import interruption
from ganforge.callbacks.interruption import SIGNALS
from ganforge.errors import RunError
from ganforge.runs.lock import is_locked
from ganforge.sweeps.signals import ending_on_signals
from tests.runs.resuming.test_resume import PLAIN, go, runs, summary
from tests.support.forking import fork, wait

CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 138, "SIGHUP": 129}
SEVEN = [*PLAIN, "trainer.max_steps=7"]


def sent(step: int, name: str, **more: object) -> list[str]:
    node = "+callbacks.signal"
    values = {"_target_": "tests.support.signals.SignalAt", "step": step, "name": name, **more}
    return [f"{node}.{key}={value}" for key, value in values.items()]


def state(run: Path, kind: str = "last") -> dict[str, torch.Tensor]:
    loaded = torch.load(run / "checkpoints" / f"{kind}.ckpt", weights_only=True)
    return loaded["state_dict"]


def assert_same_end(ours: Path, whole: Path) -> None:
    theirs = state(whole)
    assert all(torch.equal(value, theirs[name]) for name, value in state(ours).items())


@pytest.fixture(autouse=True)
def _hangups_are_heard() -> Iterator[None]:
    """Tests that run under nohup inherit that hangups are ignored."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    go(*SEVEN, f"log_dir={folder}")
    return runs(folder)[0]


@pytest.mark.parametrize("name", CODES)
def test_a_signal_ends_a_run_after_its_step(name, tmp_path, type_in):
    before = [signal.getsignal(number) for number in SIGNALS]
    ended = type_in("train", *SEVEN, *sent(4, name), f"log_dir={tmp_path}")
    assert ended.code == CODES[name]
    assert f"interrupted at step 5 by {name}; continue with resume=" in ended.err
    (run,) = runs(tmp_path)
    told = summary(run)
    assert (told["status"], told["step"]) == ("interrupted", 5)
    assert told["error"].startswith(f"interrupted at step 5 by {name}")
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert not is_locked(run)


def test_a_hangup_is_ignored_under_nohup():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruption.Interruption().listening(), ending_on_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_it_says_at_once_what_is_going_to_happen(tmp_path, capfd):
    with pytest.raises(interruption.InterruptionError):
        go(*PLAIN, *sent(1, "SIGTERM"), f"log_dir={tmp_path}")
    said = "ganforge: SIGTERM received: the run ends after this step, with a checkpoint; a second"
    assert capfd.readouterr().err.count(said) == 1


def test_a_signal_sent_twice_in_a_moment_is_one(tmp_path):
    with pytest.raises(interruption.InterruptionError, match="at step 3 by SIGTERM"):
        go(*PLAIN, *sent(2, "SIGTERM", times=2), f"log_dir={tmp_path}")


def test_a_second_signal_ends_the_run_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(interruption, "ECHO", 0.0)
    overrides = [*SEVEN, *sent(5, "SIGTERM", times=2), f"log_dir={tmp_path}"]
    assert wait(fork(lambda: go(*overrides))) == -signal.SIGTERM
    (run,) = runs(tmp_path)
    assert not is_locked(run)
    # The one of step 3: the step under way is lost.
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3


def test_a_second_signal_while_the_checkpoint_is_written_leaves_the_one_before(
    tmp_path, monkeypatch, whole
):
    monkeypatch.setattr(interruption, "ECHO", 0.0)
    save = torch.save

    def interrupted(content: dict, file) -> None:
        save(content, file)
        if content["global_step"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(torch, "save", interrupted)
    overrides = [*SEVEN, *sent(4, "SIGTERM"), f"log_dir={tmp_path}"]
    assert wait(fork(lambda: go(*overrides))) == -signal.SIGTERM
    monkeypatch.undo()
    (run,) = runs(tmp_path)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["last.ckpt"]
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3
    go(f"resume={run}", "+callbacks.signal.step=99")
    assert_same_end(run, whole)


@pytest.mark.parametrize("name", [pytest.param("SIGINT", marks=pytest.mark.slow), "SIGTERM"])
def test_a_signal_to_the_whole_group_lets_workers_finish_the_step(name, tmp_path, whole):
    overrides = [*SEVEN, "data.workers=2", *sent(4, name, group=True), f"log_dir={tmp_path}"]

    def work() -> None:
        os.setpgrp()
        with pytest.raises(interruption.InterruptionError, match=f"at step 5 by {name}"):
            go(*overrides)

    assert wait(fork(work)) == 0
    (run,) = runs(tmp_path)
    assert (summary(run)["status"], summary(run)["step"]) == ("interrupted", 5)
    go(f"resume={run}", "data.workers=0")
    assert_same_end(run, whole)


def test_a_signal_before_the_first_step_leaves_no_folder(tmp_path, type_in):
    log_dir = tmp_path / "logs"
    ended = type_in("train", *PLAIN, *sent(-1, "SIGTERM"), f"log_dir={log_dir}")
    assert ended.code == 143
    assert "interrupted by SIGTERM before the first step" in ended.err
    assert runs(log_dir) == []


def test_a_signal_before_a_resumed_run_goes_on_changes_nothing_it_has_reached(tmp_path, whole):
    go(*PLAIN, f"log_dir={tmp_path}")
    (run,) = runs(tmp_path)
    before = summary(run)
    with pytest.raises(interruption.InterruptionError, match="before the first step"):
        go(f"resume={run}", "trainer.max_steps=6", *sent(-1, "SIGTERM"))
    assert summary(run) == before
    go(f"resume={run}", "trainer.max_steps=6", "+callbacks.signal.step=99")
    assert summary(run)["step"] == 6


# ---------------------------------------------------------------------- a folder that is gone


class Gone(Callback):
    """Removes or moves the run folder after a step."""

    def __init__(self, step: int, to: str | None) -> None:
        self.step = step
        self.to = to

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if pl_module.iteration == self.step:
            folder = Path(trainer.default_root_dir)
            os.rename(folder, self.to) if self.to is not None else shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("step", "moved", "logger"), [(0, False, "csv"), (2, True, "csv"), (1, True, None)]
)
def test_a_run_whose_folder_is_gone_ends_and_leaves_no_stub(tmp_path, step, moved, logger):
    to = tmp_path / "moved" if moved else None
    gone = "+callbacks.gone={_target_: tests.callbacks.test_interruption.Gone, "
    typed = [*PLAIN, f"{gone} step: {step}, to: {to or 'null'}}}", f"log_dir={tmp_path}"]
    typed += ["trainer.max_steps=8", *(["~logger"] if logger is None else [])]
    with pytest.raises(RunError, match="was removed or moved while the run was training"):
        go(*typed)
    assert runs(tmp_path) == []
    assert to is None or (to / "config.yaml").is_file()
    assert to is None or '"completed"' not in (to / "summary.json").read_text()
