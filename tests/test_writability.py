from __future__ import annotations

import errno
import os

import pytest

from ganforge.errors import ConfigError, RunError
from ganforge.paths import check_file, check_folder
from ganforge.runs.folder import RunFolder
from tests.support.configs import DATA, QUIET, TRAINER


def test_nothing_is_left_of_a_probe(tmp_path):
    check_folder(tmp_path / "a" / "b", "out")
    check_file(tmp_path / "a" / "b.html", "out")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_is_no_fault_of_what_was_typed(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(RunError, match=r"log_dir=.*No space left"):
        check_folder(tmp_path / "a" / "b", "log_dir")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["file", "file/x"])
def test_what_can_be_no_folder_is_refused(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="out="):
        check_folder(tmp_path / path, "out")
    with pytest.raises(ConfigError, match="is a folder"):
        check_file(tmp_path, "out")


def test_a_run_folder_is_tried_before_data_are_read(type_in, tmp_path, monkeypatch):
    monkeypatch.setattr("ganforge.commands.train.build_parts", lambda cfg: pytest.fail("too early"))
    (tmp_path / "file").touch()
    command = ["train", "model=gan", *DATA, *TRAINER, *QUIET]
    typed = type_in(*command, "log_dir=file/logs")
    assert typed.code == 2
    assert "cannot write to log_dir=file/logs" in typed.err
    typed = type_in(*command, "run_dir=file/run")
    assert typed.code == 2
    assert "cannot write to run_dir=" in typed.err
    typed = type_in(*command, "run_dir=.")
    assert typed.code == 1
    assert "contains other files than those of a run" in typed.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("verb", [["evaluate", "fake=a", "real=b"], ["compare"]])
def test_an_output_folder_is_tried_before_anything_is_read(type_in, tmp_path, verb):
    (tmp_path / "file").touch()
    typed = type_in(*verb, "out=file")
    assert (typed.code, typed.err) == (2, "ganforge: out=file is a file, not a folder\n")


def test_the_folder_of_a_run_is_tried_before_it_is_evaluated(type_in, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    run = RunFolder(tmp_path / "file" / "run")
    monkeypatch.setattr("ganforge.commands.evaluate.find_trained", lambda *_: run)
    load = "ganforge.commands.evaluate.load_restored"
    monkeypatch.setattr(load, lambda *_: pytest.fail("too early"))
    typed = type_in("evaluate")
    assert typed.code == 2
    assert "cannot write to out=" in typed.err
