from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from ganforge import atomic
from ganforge.errors import RunError
from tests.support.forking import fork, wait

OWN = re.compile(r"\.ganforge-[0-9a-f]{8}-[0-9a-f]{8}\.tmp\.\d+")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def gone() -> int:
    """The id of a process that has ended."""
    pid = fork(lambda: None)
    wait(pid)
    return pid


def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path):
    path = tmp_path / ("x" * 251 + ".png")
    atomic.write(path, b"abc")
    assert path.read_bytes() == b"abc"
    assert names(tmp_path) == [path.name]


def test_the_mode_is_that_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        atomic.write(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_links_are_replaced_and_their_targets_are_not_changed(tmp_path, monkeypatch):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "out").symlink_to("precious")
    atomic.write(tmp_path / "out", b"new")
    assert not (tmp_path / "out").is_symlink()
    planted = tmp_path / "planted"
    planted.symlink_to("precious")
    monkeypatch.setattr(atomic, "temporary_sibling", lambda path: planted)
    with pytest.raises(OSError, match=r"File exists|is a link"):
        atomic.write(tmp_path / "other", b"new")
    assert planted.is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_an_error_leaves_what_was_there(tmp_path):
    atomic.write(tmp_path / "a", b"old")

    def stop(file: BinaryIO) -> None:
        file.write(b"new")
        assert any(map(OWN.fullmatch, names(tmp_path)))
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"), atomic.writing(tmp_path / "a") as file:
        stop(file)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    def work(value: int) -> None:
        for _ in range(20):
            atomic.write(tmp_path / "a", bytes([value]) * 1000)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set((tmp_path / "a").read_bytes())) == 1
    assert names(tmp_path) == ["a"]


def test_clean_removes_by_exact_names_what_no_living_process_writes(tmp_path, gone):
    host, day = atomic._host(), 25 * 3600
    kept = {
        "last.ckpt": 0,
        f"a.tmp.{gone}": 0,  # a file of the user: ganforge writes no file of this name
        f"last.ckpt.tmp.{os.getppid()}": 0,
        f".ganforge-{host}-00000000.tmp.{os.getppid()}": 0,
        f".ganforge-00000000-00000000.tmp.{gone}": 0,  # written by another host just now
        f".ganforge-{host}-00000000.tmp.{gone}.bak": day,
    }
    removed = {
        f"last.ckpt.tmp.{gone}": 0,
        f"composed.yaml.tmp.{10**30}": 0,
        f"metrics.csv.tmp.{os.getpid()}": 0,
        f".ganforge-{host}-00000000.tmp.{gone}": 0,
        f".ganforge-{host}-00000000.tmp.{os.getpid()}": 0,
        f".ganforge-00000000-11111111.tmp.{gone}": day,
    }
    for name, age in {**kept, **removed}.items():
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (tmp_path / f".ganforge-{host}-22222222.tmp.{gone}").symlink_to("last.ckpt")
    (tmp_path / f".ganforge-{host}-33333333.tmp.{gone}").mkdir()
    with atomic.writing(tmp_path / "metrics.csv"):
        atomic.clean(tmp_path)
    left = {path.name for path in tmp_path.iterdir() if path.is_file() and not path.is_symlink()}
    assert left == {*kept, "metrics.csv"}
    assert len(names(tmp_path)) == len(left) + 2


def test_what_a_killed_command_left_is_removed_by_the_next_that_writes_there(tmp_path, gone):
    code = f"""
import os, signal
from pathlib import Path
from ganforge import atomic
with atomic.writing(Path({str(tmp_path)!r}) / "x.npz") as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    (tmp_path / f"x.npz.tmp.{gone}").write_bytes(b"of an earlier version")
    (tmp_path / f"y.npz.tmp.{gone}").write_bytes(b"of whoever writes y")
    assert len(names(tmp_path)) == 3
    atomic.write(tmp_path / "x.npz", b"whole")
    assert names(tmp_path) == ["x.npz", f"y.npz.tmp.{gone}"]


def test_a_file_that_is_being_written_is_known_by_its_lock(tmp_path, gone, monkeypatch):
    with atomic.writing(tmp_path / "a"):
        (path,) = atomic._writing
        monkeypatch.setattr(atomic, "_writing", set())  # as seen by another process
        assert list(atomic.abandoned(tmp_path)) == []
        assert path.exists()


def test_nothing_is_left_of_a_process_that_ends_at_once(tmp_path):
    with pytest.raises(FileNotFoundError), atomic.writing(tmp_path / "a"):
        atomic.abandon()
    assert names(tmp_path) == []


@pytest.mark.parametrize("replaced", [False, True])
def test_a_removed_run_folder_is_not_created_again(tmp_path, replaced):
    run = tmp_path / "run"
    run.mkdir()
    with atomic.keeping_folder(run):
        atomic.replace(run / "samples" / "deep" / "a.png", b"a")
        run.rename(tmp_path / "moved")
        if replaced:
            run.mkdir()
        for name in ("summary.json", "samples/a.png"):
            with pytest.raises(RunError, match="was removed or moved while the run was training"):
                atomic.replace(run / name, b"")
        assert not replaced or not list(run.iterdir())
        assert replaced or not run.exists()
    atomic.write(run / "a", b"")
    assert (run / "a").exists()
