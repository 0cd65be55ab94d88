"""Searches that were killed, moved, reached by a link, or started twice at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ganforge.runs.lock import locked
from ganforge.runs.sweep_record import SweepRecord
from ganforge.sweeps import resume as resuming
from tests.search.test_search import folder_of, search, table, trainings

pytest.importorskip("optuna")
__all__ = ["trainings"]


class Killed(BaseException):
    """Ends a search as SIGKILL does: nothing is noted."""


def killed_in_second_trial(type_in, trainings, *overrides: str) -> None:
    trainings.ends = {1: Killed()}
    with pytest.raises(Killed):
        type_in(*search("tune.n_trials=3", *overrides))


def assert_gone_on_with(folder: Path, seen: dict) -> None:
    states = [row["state"] for row in table(folder)]
    assert states == ["completed", "abandoned", "completed", "completed"]
    assert seen[2].optimizer == seen[1].optimizer
    assert Path(seen[2].run_dir) == folder / Path(seen[1].run_dir).name
    record = SweepRecord.read(folder)
    assert [job.status for job in record.jobs] == ["completed"] * 3


@pytest.mark.slow
def test_a_killed_search_is_resumed_through_a_link(type_in, tmp_path, trainings):
    (tmp_path / "disk").mkdir()
    (tmp_path / "logs").symlink_to("disk")
    killed_in_second_trial(type_in, trainings)
    typed = type_in(*search("tune.n_trials=3", "resume=auto"))
    assert typed.code == 0, typed.err
    assert_gone_on_with(folder_of(tmp_path).resolve(), trainings.seen)


@pytest.mark.slow
def test_a_moved_search_resumes_its_trial(type_in, tmp_path, trainings):
    killed_in_second_trial(type_in, trainings)
    shutil.move(folder_of(tmp_path), tmp_path / "moved")
    typed = type_in(*search("tune.n_trials=3", "resume=moved"))
    assert typed.code == 0, typed.err
    assert_gone_on_with(tmp_path / "moved", trainings.seen)


def test_a_rejected_search_does_not_touch_one_that_is_starting(
    type_in, tmp_path, trainings, monkeypatch
):
    folder = tmp_path / "logs" / "multirun" / "2026-01-31" / "10-00-00"
    typed = [word for word in search()[1:] if not word.startswith("resume")]
    record = SweepRecord(folder, "search", "", typed, "2026-01-31T10:00:00")
    record.write()
    (folder / "study.log").touch()
    monkeypatch.setattr(resuming, "holder", lambda path: None)  # it is just starting
    with locked(folder):
        ended = type_in(*search(f"resume={folder}"))
        assert ended.code == 1
        assert "is training in this folder" in ended.err
        names = sorted(path.name for path in folder.iterdir())
    assert names == [".lock", "study.log", "sweep.json"]
