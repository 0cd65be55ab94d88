from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from ganforge.commands.runs import manage_runs
from ganforge.errors import GanforgeError, RunError
from ganforge.runs import removal as run_removing
from ganforge.runs.contents import Contents
from ganforge.runs.lock import locked
from ganforge.runs.past import find_runs, not_removable
from tests.commands.listings import TRAIN, composed, made
from tests.runs.test_contents import FOREIGN, tree, written


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A folder with one failed run in logs/train/2026-11-22/run."""
    monkeypatch.chdir(tmp_path)
    made(tmp_path / TRAIN / "run", status="failed")
    return tmp_path


def remove(*typed: str) -> list[str]:
    """Runs `ganforge runs remove=true ...`; returns the lines of its fault."""
    try:
        manage_runs(composed(["remove=true", *typed]))
    except RunError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("only", ["false", "true"])
@pytest.mark.parametrize("typed", ["logs/train/*/*", "logs/train/*", f"{TRAIN}/linked", "direct"])
def test_a_linked_run_is_left_and_named(root, typed, only):
    archive = made(root / "archive" / "precious")
    (root / TRAIN / "linked").symlink_to(archive)
    (root / "logs" / "train" / "day").symlink_to(archive.parent)
    (root / "direct").symlink_to(archive)
    before = tree(root / "archive")
    faults = remove(f"runs={typed}", f"checkpoints_only={only}")
    assert "not removed: it is a link" in faults[1]
    assert len(faults) == 2
    assert tree(root / "archive") == before
    assert (root / TRAIN / "linked").is_symlink()


def test_a_linked_log_dir_is_no_obstacle(root):
    os.rename(root / "logs", root / "disk")
    (root / "logs").symlink_to("disk")
    assert not_removable(["logs", f"{TRAIN}/*", str(root / TRAIN / "run")], Path("logs")) == {}
    assert remove("status=failed") == []
    assert tree(root / "disk") == set()


@pytest.mark.parametrize("only", ["false", "true"])
@pytest.mark.parametrize("where", ["", "logs", "logs/train", TRAIN])
def test_a_stray_configuration_makes_no_run_of_a_folder_of_runs(root, where, only):
    made(root / TRAIN / "whole")
    (root / TRAIN / "notes.txt").write_text("mine")
    (root / where / "composed.yaml").write_text("seed: 0\n")
    assert sorted(run.name for run in find_runs(["."])) == ["run", "whole"]
    assert remove("runs=.", "status=failed", f"checkpoints_only={only}") == []
    assert (root / TRAIN / "whole" / "checkpoints" / "last.ckpt").is_file()
    assert (root / TRAIN / "notes.txt").is_file()
    assert (root / where / "composed.yaml").is_file()


@pytest.mark.parametrize("only", ["false", "true"])
@pytest.mark.parametrize("sign", ["", "config.yaml"])
def test_a_project_with_a_configuration_in_it_is_left(root, sign, only):
    project = root / "project"
    written(
        project, ["composed.yaml", "src/model.py", "checkpoints/mine.ckpt", *[sign][: len(sign)]]
    )
    before = tree(project)
    assert "project" in remove("runs=project", f"checkpoints_only={only}")[1]
    assert tree(project) == before


@pytest.mark.parametrize("name", FOREIGN)
def test_a_run_with_a_foreign_file_is_left_whole(root, name):
    run = root / TRAIN / "run"
    written(run, [name])
    before = tree(run)
    faults = remove(f"runs={TRAIN}/run")
    assert any("not removed: it contains files that no run writes: " in line for line in faults)
    assert tree(run) == before
    in_checkpoints = name.startswith("checkpoints/")
    remove(f"runs={TRAIN}/run", "checkpoints_only=true")
    assert (run / "checkpoints").exists() == in_checkpoints


def test_a_lock_and_runs_at_any_depth_keep_a_folder(root):
    run = root / TRAIN / "run"
    inner = made(run / "deep" / "deeper" / "inner", status="failed")
    with locked(inner):
        before = tree(run)
        assert len(find_runs([str(run)])) == 2
        assert "contains files that no run writes: deep." in "".join(remove(f"runs={TRAIN}/run"))
        assert tree(run) == before
    assert "not removed: it is inside the run" in "".join(remove("runs=logs/train/*/*"))
    assert tree(run) == before - {str(inner.relative_to(run) / ".lock")}
    assert remove(f"runs={inner}") == []
    assert not inner.exists()


def test_links_in_a_run_are_unlinked_and_no_more(root):
    run, disk = root / TRAIN / "run", root / "disk"
    written(disk, ["last.ckpt", "etc/passwd"])
    os.rename(run / "checkpoints", root / "other")
    (run / "checkpoints").symlink_to(disk)
    (run / "samples").mkdir()
    (run / "samples" / "etc").symlink_to(disk / "etc")
    assert remove("status=failed") == []
    assert not run.exists()
    assert tree(disk) == {"last.ckpt", "etc", "etc/passwd"}


def test_five_removals_at_once_end_well(root):
    for number in range(40):
        made(root / TRAIN / f"{number}", status="failed", weight=10)
    start, faults = threading.Barrier(5), []

    def work() -> None:
        start.wait()
        try:
            faults.extend(remove("status=failed"))
        except (OSError, GanforgeError) as error:
            faults.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert tree(root / "logs") == set()


@pytest.mark.parametrize("gone", ["checkpoints", ""])
def test_what_another_removal_deletes_meanwhile_is_no_fault(root, monkeypatch, gone):
    hidden, look = root / TRAIN / f"{run_removing.REMOVING}run", Contents._scan

    def slow(found, folder, place):
        if folder == hidden / gone:
            shutil.rmtree(folder)
        look(found, folder, place)

    (root / TRAIN / "run" / "checkpoints").mkdir(exist_ok=True)
    with monkeypatch.context() as patch:
        patch.setattr(Contents, "_scan", slow)
        assert remove("status=failed") == []
    assert tree(root / "logs") == set()


def test_a_removal_that_fails_half_way_says_where_the_rest_is(root, type_in, monkeypatch):
    made(root / TRAIN / "whole")
    run, unlink = root / TRAIN / "run", Path.unlink

    def refuses(path, missing_ok=False):
        if path.name == "choices.json" and "run" in path.parent.name:
            raise OSError(5, "Input/output error", str(path))
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuses)
        typed = type_in("runs", f"runs={TRAIN}", "remove=true")
    hidden = run.with_name(f"{run_removing.REMOVING}run")
    assert typed.code == 1
    assert "removed 2 runs" in typed.out
    assert f"Input/output error. The rest of {run} is now {hidden}" in typed.err
    assert remove("status=failed") == []
    assert not hidden.exists()


def test_a_file_that_arrives_meanwhile_is_left(root, monkeypatch):
    run, rename = root / TRAIN / "run", os.rename

    def slow(source, target):
        (Path(source) / "thesis.tex").write_text("mine")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(run_removing.os, "rename", slow)
        faults = remove("status=failed")
    assert "thesis.tex" in faults[1]
    assert [path.read_text() for path in root.rglob("thesis.tex")] == ["mine"]
    assert (run / "thesis.tex").is_file()
