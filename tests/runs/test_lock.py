from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ganforge.commands.train import train
from ganforge.config.compose import compose_config
from ganforge.errors import RunError
from ganforge.runs import lock as run_lock
from ganforge.runs.folder import RunFolder
from ganforge.runs.lock import holder, is_locked, locked
from tests.support.forking import fork, wait
from tests.support.short_runs import PLAIN, go, runs, summary, unfinished


@pytest.fixture
def no_locks(monkeypatch):
    """A file system that knows none: what the file says decides."""
    monkeypatch.setattr(run_lock, "_try", lambda descriptor, shared: None)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(run_lock, "HEARTBEAT", 0.05)
    monkeypatch.setattr(run_lock, "PATIENCE", 0.4)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def hold(folder: Path) -> int:
    """Starts a process that holds a folder until it is killed."""

    def work() -> None:
        with locked(folder):
            (folder / "held").touch()
            time.sleep(60)

    pid = fork(work)
    wait_for(folder / "held")
    (folder / "held").unlink()
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert wait(pid) == -signal.SIGKILL


def test_a_second_holder_is_refused_by_name_and_the_first_lets_go(tmp_path):
    us = f"process {os.getpid()} on {socket.gethostname()}"
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert holder(tmp_path) == us
        with pytest.raises(RunError, match=rf"{tmp_path}: {us} is training in this folder"):
            ExitStack().enter_context(locked(tmp_path))
        assert is_locked(tmp_path)  # the one refused has not let go of it
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path):
        assert is_locked(tmp_path)


def test_an_error_lets_go_too(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_another_process_holds_until_it_is_killed(tmp_path):
    pid = hold(tmp_path)
    assert holder(tmp_path) == f"process {pid} on {socket.gethostname()}"
    with pytest.raises(RunError, match=f"process {pid}"), locked(tmp_path):
        pass
    kill(pid)
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert holder(tmp_path) == f"process {os.getpid()} on {socket.gethostname()}"


def test_a_worker_that_outlives_its_run_does_not_hold_the_folder(tmp_path):
    def work() -> None:
        with locked(tmp_path):
            worker = fork(lambda: time.sleep(60))
            (tmp_path / "worker").write_text(str(worker))
            os.rename(tmp_path / "worker", tmp_path / "ready")
            time.sleep(60)

    pid = fork(work)
    wait_for(tmp_path / "ready")
    kill(pid)
    try:
        assert not is_locked(tmp_path)
    finally:
        os.kill(int((tmp_path / "ready").read_text()), signal.SIGKILL)


def test_a_forked_child_that_ends_does_not_let_go(tmp_path):
    with locked(tmp_path):
        assert wait(fork(lambda: None)) == 0
        lock = run_lock.LOCK
        assert (tmp_path / lock).exists()
        assert is_locked(tmp_path)


def test_those_who_only_look_do_not_keep_a_run_from_starting(tmp_path):
    def look() -> None:
        (tmp_path / "looking").touch()
        while not (tmp_path / "done").exists():
            is_locked(tmp_path)

    (tmp_path / run_lock.LOCK).write_text("")
    lookers = [fork(look) for _ in range(2)]
    wait_for(tmp_path / "looking")
    try:
        for _ in range(20):
            with locked(tmp_path):
                pass
    finally:
        (tmp_path / "done").touch()
        assert [wait(pid) for pid in lookers] == [0, 0]


def _made(path: Path) -> bool:
    """Makes a file; tells whether nobody else had."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def test_one_of_many_who_start_at_once_gets_the_folder(tmp_path):
    start = time.monotonic() + 0.3

    def compete() -> None:
        time.sleep(max(0.0, start - time.monotonic()))
        try:
            with locked(tmp_path):
                (tmp_path / f"got-{os.getpid()}").touch()
                for place in range(3):  # kept until all others have given up
                    wait_for(tmp_path / f"refused-{place}")
        except RunError:
            refused = len(list(tmp_path.glob("refused-*")))
            while not _made(tmp_path / f"refused-{refused}"):
                refused += 1
            raise

    codes = sorted(wait(pid) for pid in [fork(compete) for _ in range(4)])
    assert codes == [0, 1, 1, 1]
    assert len(list(tmp_path.glob("got-*"))) == 1


# ---------------------------------------------------------------------- hosts that share no locks


def test_a_lock_of_another_host_is_believed_while_its_time_is_renewed(tmp_path, quick):
    lock = tmp_path / run_lock.LOCK
    lock.write_text("elsewhere 12\n")

    def beat() -> None:
        while True:
            os.utime(lock)
            time.sleep(0.05)

    pid = fork(beat)
    assert holder(tmp_path) == "process 12 on elsewhere"
    with pytest.raises(RunError, match="process 12 on elsewhere"), locked(tmp_path):
        pass
    assert lock.read_text() == "elsewhere 12\n"
    kill(pid)
    with locked(tmp_path):  # waits, and sees that nobody renews it
        assert holder(tmp_path) == f"process {os.getpid()} on {socket.gethostname()}"


def test_an_old_lock_of_another_host_is_taken_at_once(tmp_path, monkeypatch):
    lock = tmp_path / run_lock.LOCK
    lock.write_text("elsewhere 12\n")
    os.utime(lock, (0, 0))
    monkeypatch.setattr(run_lock, "PATIENCE", 1e10)
    assert holder(tmp_path) == "process 12 on elsewhere"  # with so much patience
    with locked(tmp_path):
        pass


def test_a_holder_renews_the_time_of_its_lock(tmp_path, quick):
    with locked(tmp_path):
        lock = tmp_path / run_lock.LOCK
        os.utime(lock, (0, 0))
        deadline = time.monotonic() + 20
        while lock.stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_without_locks_a_living_process_of_this_host_holds(tmp_path, no_locks):
    lock = tmp_path / run_lock.LOCK
    lock.write_text(f"{socket.gethostname()} {os.getppid()}\n")
    assert holder(tmp_path) == f"process {os.getppid()} on {socket.gethostname()}"
    with pytest.raises(RunError, match=f"process {os.getppid()}"), locked(tmp_path):
        pass
    gone = fork(lambda: None)
    wait(gone)
    lock.write_text(f"{socket.gethostname()} {gone}\n")
    assert holder(tmp_path) is None
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("torn", ["", "host", "host x", " 3", "\0\0\0"])
def test_a_torn_lock_without_a_holder_is_free(tmp_path, torn):
    (tmp_path / run_lock.LOCK).write_text(torn)
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(RunError, match=r"cannot write .*nowhere/\.lock: No such file"):
        ExitStack().enter_context(locked(tmp_path / "nowhere"))


# ---------------------------------------------------------------------- runs


def test_a_second_run_in_the_same_folder_is_refused_and_changes_nothing(run):
    assert not is_locked(run)
    assert not (run / run_lock.LOCK).exists()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    pid = hold(run)
    with pytest.raises(RunError, match=f"process {pid} on .* is training in this folder"):
        go(f"resume={run}", "trainer.max_steps=6")
    kill(pid)
    (run / run_lock.LOCK).unlink()
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before
    go(f"resume={run}", "trainer.max_steps=6")
    assert summary(run)["step"] == 6


def test_auto_skips_a_running_run(run, tmp_path):
    unfinished(run)
    pid = hold(run)
    go(*PLAIN, "resume=auto", f"log_dir={tmp_path}")
    kill(pid)
    assert len(runs(tmp_path)) == 2
    assert summary(run)["status"] == "running"


def test_a_run_holds_its_folder(tmp_path, monkeypatch):
    from ganforge.callbacks.checkpoints import Checkpoints

    seen = []
    monkeypatch.setattr(
        Checkpoints, "on_train_end", lambda self, trainer, module: seen.append(runs(tmp_path)[0])
    )
    told = []
    real = run_lock.holder
    monkeypatch.setattr(
        Checkpoints,
        "on_train_start",
        lambda self, trainer, module: told.append(real(Path(trainer.default_root_dir))),
    )
    go(*PLAIN, f"log_dir={tmp_path}")
    assert told == [f"process {os.getpid()} on {socket.gethostname()}"]
    assert holder(seen[0]) is None


@pytest.mark.parametrize("name", ["samples", "checkpoints", "wandb", "tensorboard", "translated"])
def test_a_resumed_run_writes_through_no_link(tmp_path, name):
    run, outside = RunFolder(tmp_path / "run"), tmp_path / "outside"
    run.path.mkdir()
    outside.mkdir()
    run.refuse_links()
    (run.path / name).symlink_to(outside)
    with pytest.raises(RunError, match=rf"run: {name} in it is a link.*resume\.allow=\[links\]"):
        run.refuse_links()
    run.refuse_links(["data", "links"])
    with pytest.raises(RunError, match="is a link"):
        run.subfolder(name)
    (run.path / "real").mkdir()
    (run.path / "real" / "below").symlink_to(outside)
    with pytest.raises(RunError, match="below is a link"):
        run.subfolder("real", "below")
    (run.path / "real" / "below").unlink()
    (run.path / "real").rmdir()
    cfg = compose_config([f"log_dir={tmp_path}", f"resume={run.path}"])
    run.composed.write_text(OmegaConf.to_yaml(cfg))
    (tmp_path / "last.ckpt").touch()
    if name != "checkpoints":
        run.checkpoints.mkdir()
    (run.checkpoints / "last.ckpt").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match="in it is a link"):
        train(cfg)
    assert sorted(tmp_path.rglob("*")) == before
