from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ganforge.errors import ConfigError, RunError
from ganforge.runs.folder import RunFolder


def run_in(log_dir: Path, name: str = "gan-digits") -> RunFolder:
    folder = RunFolder.new(log_dir, name, seed=3)
    folder.composed.write_text("seed: 3\n")
    folder.checkpoints.mkdir()
    (folder.checkpoints / "last.ckpt").write_bytes(b"")
    return folder


def test_a_run_is_named_by_when_and_what(tmp_path):
    folder = run_in(tmp_path)
    day, name = folder.path.relative_to(tmp_path / "train").parts
    assert len(day) == len("2026-01-31")
    assert name[8:] == "-gan-digits-s3"


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path):
    paths = {run_in(tmp_path).path for _ in range(5)}
    assert len(paths) == 5


def test_a_job_of_a_sweep_has_the_folder_it_was_given(tmp_path):
    job = tmp_path / "multirun" / "day" / "0-seed=1"
    folder = RunFolder.new(tmp_path, "gan-digits", 1, str(job))
    assert folder.path == job
    (job / "composed.yaml").write_text("seed: 1\n")
    (job / ".lock").touch()
    (job / "samples").mkdir()
    assert RunFolder.new(tmp_path, "gan-digits", 1, str(job)).path == job  # stopped early: again
    folder.clear()
    assert [path.name for path in job.iterdir()] == [".lock"]
    assert RunFolder.new(tmp_path, "gan-digits", 1, str(job)).path == job


def test_a_run_killed_while_it_wrote_its_first_file_begins_again(tmp_path):
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "composed.yaml.tmp.123").write_text("seed")
    job = str(tmp_path / "job")
    assert RunFolder.new(tmp_path, "gan-digits", 1, job).path == tmp_path / "job"


def test_a_folder_with_other_files_is_rejected(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunError, match=r"contains other files than those of a run: .* run_dir=DIR"):
        RunFolder.new(tmp_path, "gan-digits", 1, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_latest_is_the_newest_and_a_relative_link(tmp_path):
    run_in(tmp_path, "a")
    newest = run_in(tmp_path, "b")
    assert RunFolder.find("latest", tmp_path).path == newest.path
    assert not os.path.isabs(os.readlink(tmp_path / "train" / "latest"))
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    assert RunFolder.find("latest", moved).path == moved / newest.path.relative_to(tmp_path)
    moved.rename(tmp_path)


def test_latest_points_back_when_a_run_was_taken_back(tmp_path):
    former, discarded = run_in(tmp_path, "a"), run_in(tmp_path, "b")
    discarded.discard(tmp_path)
    assert not discarded.path.exists()
    assert RunFolder.find("latest", tmp_path).path == former.path


def test_a_run_is_found_by_its_folder_and_by_its_checkpoint(tmp_path, monkeypatch):
    folder = run_in(tmp_path)
    assert RunFolder.find(str(folder.path), tmp_path).path == folder.path
    assert RunFolder.find(str(folder.checkpoints / "last.ckpt"), tmp_path).path == folder.path
    monkeypatch.chdir(folder.path.parent)
    assert RunFolder.find(folder.path.name, tmp_path).path == folder.path


def test_invalid_run_folders_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "stray.ckpt").write_text("")
    cases = {
        str(tmp_path / "nowhere"): "no such run folder or checkpoint",
        str(tmp_path / "empty"): "not a run folder: it has no composed.yaml",
        str(tmp_path / "file.txt"): "neither a run folder nor a checkpoint",
        str(tmp_path / "stray.ckpt"): "not a run folder",
        "latest": "no run yet under",
    }
    for where, named in cases.items():
        with pytest.raises(RunError, match=named):
            RunFolder.find(where, tmp_path)


def test_the_last_checkpoint_falls_back_to_the_previous_one(tmp_path):
    folder = run_in(tmp_path)
    last, previous = (folder.checkpoints / f"{name}.ckpt" for name in ("last", "previous"))
    assert folder.checkpoint() == last
    last.rename(previous)
    assert folder.checkpoint() == previous
    with pytest.raises(RunError, match="contains no best checkpoint yet"):
        folder.checkpoint("best")
    with pytest.raises(ConfigError, match="legal: last, previous, best"):
        folder.checkpoint("newest")


def test_a_summary_that_is_missing_or_torn_is_empty(tmp_path):
    folder = run_in(tmp_path)
    assert folder.read_summary() == {}
    folder.summary.write_text('{"status": "comp')
    assert folder.read_summary() == {}
    folder.summary.write_text('{"status": "completed"}')
    assert folder.read_summary() == {"status": "completed"}


def started(folder: Path, when: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "composed.yaml").write_text("seed: 0\n")
    (folder / "provenance.json").write_text(f'[{{"started": "{when}"}}, {{"started": "2030"}}]')
    return folder


@pytest.mark.parametrize("kind", ["folder", "dangling", "missing", "file", "no run"])
def test_latest_that_misleads_gives_way_to_what_is_on_the_disk(tmp_path, kind, caplog):
    day = tmp_path / "train" / "2026-01-02"
    newest = started(day / "10-00-00-gan-s0", "2026-01-02T10:00:00+00:00")
    older = started(day / "12-00-00-gan-s0", "2026-01-02T10:00:00+02:00")
    (day / "09-00-00-gan-s0").mkdir()
    (day / "09-00-00-gan-s0" / "composed.yaml").write_text("")  # written last, as copies may be
    latest = tmp_path / "train" / "latest"
    if kind == "folder":
        shutil.copytree(older, latest)
    elif kind == "file":
        latest.write_text("")
    elif kind != "missing":
        latest.symlink_to("nowhere" if kind == "dangling" else "2026-01-02")
    assert RunFolder.find("latest", tmp_path).path == newest
    told = [record.getMessage() for record in caplog.records if record.name.startswith("ganforge")]
    assert bool(told) == (kind != "missing")
    assert all(f"the run that started last is {newest}" in line for line in told)


def test_a_latest_that_is_not_a_link_is_not_replaced(tmp_path, caplog):
    (tmp_path / "train" / "latest").mkdir(parents=True)
    (tmp_path / "train" / "latest" / "composed.yaml").write_text("seed: 7\n")
    (tmp_path / "train" / ".latest.999999999").symlink_to("nowhere")
    (tmp_path / "train" / ".latest.mine").symlink_to("nowhere")
    folder = run_in(tmp_path)
    assert "is not a link and stays as it is" in caplog.text
    assert RunFolder.find("latest", tmp_path).path == folder.path
    shutil.rmtree(folder.path)
    assert RunFolder.find("latest", tmp_path).path == tmp_path / "train" / "latest"
    shutil.rmtree(tmp_path / "train" / "latest")
    run_in(tmp_path)
    assert sorted(path.name for path in (tmp_path / "train").glob(".latest*")) == [".latest.mine"]


def test_a_run_elsewhere_is_the_latest_one_while_it_is_there(tmp_path):
    inside = run_in(tmp_path / "logs")
    elsewhere = RunFolder.new(tmp_path / "logs", "gan", 0, str(tmp_path / "elsewhere"))
    elsewhere.composed.write_text("seed: 0\n")
    assert RunFolder.find("latest", tmp_path / "logs").path == elsewhere.path
    shutil.rmtree(elsewhere.path)
    assert RunFolder.find("latest", tmp_path / "logs").path == inside.path
