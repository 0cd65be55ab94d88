from __future__ import annotations

import copy
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from omegaconf import DictConfig

from ganforge.callbacks import interruption
from ganforge.callbacks.interruption import SIGNALS
from ganforge.commands.train import train
from ganforge.config.compose import compose_config
from ganforge.errors import RunError
from ganforge.runs.lock import is_locked
from ganforge.sweeps.signals import ending_on_signals
from tests.support.forking import fork, wait
from tests.support.short_runs import PLAIN, go, runs, summary

CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 138, "SIGHUP": 129}
SEVEN = [*PLAIN, "trainer.max_steps=7"]

NODE = "+callbacks.signal"
BEFORE = [
    f"{NODE}._target_=tests.support.signals.SignalAt",
    f"{NODE}.step=-1",
    f"{NODE}.name=SIGTERM",
]

Configured = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    fields = "_target_: tests.support.signals.SignalAt, step: 0, name: '', times: 1, group: false"
    return compose_config([*SEVEN, f"+callbacks.signal={{{fields}}}"])


@pytest.fixture
def signalled(composed, tmp_path) -> Configured:
    """Returns the configuration of a run of seven steps that sends itself a signal."""

    def configured(step: int, name: str, workers: int = 0, **more: object) -> DictConfig:
        cfg = copy.deepcopy(composed)
        cfg.callbacks.signal.update({"step": step, "name": name, **more})
        cfg.log_dir, cfg.data.workers = str(tmp_path), workers
        return cfg

    return configured


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
def test_a_signal_ends_a_run_after_its_step(name, tmp_path, signalled, capfd):
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(interruption.InterruptionError) as ended:
        train(signalled(4, name))
    assert ended.value.exit_code == CODES[name]
    assert f"interrupted at step 5 by {name}; continue with resume=" in str(ended.value)
    line = f"ganforge: {name} received: the run ends after this step, with a checkpoint; a second"
    assert capfd.readouterr().err.count(line) == 1
    (run,) = runs(tmp_path)
    stored = summary(run)
    assert (stored["status"], stored["step"]) == ("interrupted", 5)
    assert stored["error"].startswith(f"interrupted at step 5 by {name}")
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


def test_a_signal_sent_twice_within_a_moment_counts_once(signalled):
    with pytest.raises(interruption.InterruptionError, match="at step 3 by SIGTERM"):
        train(signalled(2, "SIGTERM", times=2))


def test_a_second_signal_ends_the_run_immediately(tmp_path, monkeypatch, signalled):
    monkeypatch.setattr(interruption, "ECHO", 0.0)
    cfg = signalled(5, "SIGTERM", times=2)
    assert wait(fork(lambda: train(cfg))) == -signal.SIGTERM
    (run,) = runs(tmp_path)
    assert not is_locked(run)
    # The one of step 3: the step under way is lost.
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3


def test_a_second_signal_while_the_checkpoint_is_written_leaves_the_one_before(
    tmp_path, monkeypatch, signalled, whole
):
    monkeypatch.setattr(interruption, "ECHO", 0.0)
    save = torch.save

    def interrupted(content: dict, file) -> None:
        save(content, file)
        if content["global_step"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(torch, "save", interrupted)
    cfg = signalled(4, "SIGTERM")
    assert wait(fork(lambda: train(cfg))) == -signal.SIGTERM
    monkeypatch.undo()
    (run,) = runs(tmp_path)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["last.ckpt"]
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3
    go(f"resume={run}", "+callbacks.signal.step=99")
    assert_same_end(run, whole)


@pytest.mark.parametrize("name", [pytest.param("SIGINT", marks=pytest.mark.slow), "SIGTERM"])
def test_a_signal_to_the_whole_group_lets_workers_finish_the_step(name, tmp_path, signalled, whole):
    cfg = signalled(4, name, workers=2, group=True)

    def work() -> None:
        os.setpgrp()
        with pytest.raises(interruption.InterruptionError, match=f"at step 5 by {name}"):
            train(cfg)

    assert wait(fork(work)) == 0
    (run,) = runs(tmp_path)
    assert (summary(run)["status"], summary(run)["step"]) == ("interrupted", 5)
    go(f"resume={run}", "data.workers=0")
    assert_same_end(run, whole)


def test_a_signal_before_the_first_step_leaves_no_folder(tmp_path, type_in):
    log_dir = tmp_path / "logs"
    ended = type_in("train", *PLAIN, *BEFORE, f"log_dir={log_dir}")
    assert ended.code == 143
    assert "interrupted by SIGTERM before the first step" in ended.err
    assert runs(log_dir) == []


def test_a_signal_before_a_resumed_run_continues_keeps_its_results(tmp_path, whole):
    run = shutil.copytree(whole, tmp_path / "train" / whole.parent.name / whole.name)
    before = summary(run)
    with pytest.raises(interruption.InterruptionError, match="before the first step"):
        go(f"resume={run}", "trainer.max_steps=9", *BEFORE)
    assert summary(run) == before
    go(f"resume={run}", "trainer.max_steps=9", "+callbacks.signal.step=99")
    assert summary(run)["step"] == 9


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
