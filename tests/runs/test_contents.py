from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from ganforge.errors import ConfigError, GanforgeError, RunError
from ganforge.runs.contents import FOLDERS, Contents, is_run, refuse_run, remove_own
from ganforge.runs.folder import RunFolder
from ganforge.runs.lock import holder, locked

OWN = [
    "composed.yaml",
    "config.yaml",
    "choices.json",
    "changes.json",
    "provenance.json",
    "summary.json",
    "evaluation.json",
    "metrics.csv",
    "metrics.csv.damaged",
    "code.diff",
    "code-2.diff",
    "report.html",
    ".lock",
    "config.yaml.tmp.12",
    ".ganforge-0123abcd-0123abcd.tmp.12",
    "samples/reals.png",
    "samples/step_0000003.png",
    "samples/training.gif",
    "samples/sample-s0-n16-c3-t0.7.npz",
    "samples/styles-s0-n12.png",
    "translated/mine-forward/a/b.png",
    "tensorboard/events.out.tfevents.1.host.2.0",
    "wandb/run_id",
    "wandb/offline-run-20261130_015111-00186cbh/run-00186cbh.wandb",
    "wandb/offline-run-20261130_015111-00186cbh/files/run/composed.yaml",
    "wandb/run-20261130_015111-00186cbh/logs/debug.log",
]
FOREIGN = [
    "thesis.tex",
    "composed.yaml.bak",
    "composed.yaml.tmp.mine",
    "metrics.csv.old",
    ".git/HEAD",
    "checkpoints/mine.ckpt",
    "checkpoints/deep/last.ckpt",
    "samples/mine.png",
    "samples/.lock",
    "samples/run/composed.yaml",
    "translated/notes.txt",
    "translated/mine-forward/notes.txt",
    "translated/mine-forward/.lock",
    "tensorboard/thesis.tex",
    "wandb/thesis.tex",
    "wandb/offline-run-20261130_015111-00186cbh/thesis.tex",
    "wandb/offline-run-20261130_015111-00186cbh/files/.lock",
    "other-run/composed.yaml",
]


def written(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("" if name.endswith(".lock") else "{}")


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_what_a_run_writes_is_known_and_goes(tmp_path):
    run = tmp_path / "run"
    written(run, OWN)
    contents = Contents.of(run)
    assert contents.foreign == []
    assert {str(path.relative_to(run)) for path in contents.files} == set(OWN)
    assert contents.files[-1].name == "composed.yaml"
    remove_own(contents, keep=(".lock",))
    assert tree(run) == {".lock"}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_no_run_writes_is_foreign_and_never_cleared(tmp_path, name):
    run = tmp_path / "run"
    written(run, ["composed.yaml", "config.yaml", "samples/reals.png", name])
    before = tree(run)
    assert Contents.of(run).foreign
    with pytest.raises(RunError, match="contains other files than those of a run"):
        RunFolder.new(tmp_path, "gan", 0, str(run))
    with pytest.raises(RunError, match="contains other files than those of a run"):
        RunFolder(run).clear()
    assert tree(run) == before


@pytest.mark.parametrize("name", ["samples", "checkpoints", "metrics.csv", "wandb", ".lock"])
def test_a_folder_with_links_in_it_is_not_taken_over(tmp_path, name):
    run, outside = tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    (outside / "reals.png").write_text("mine")
    written(run, ["composed.yaml"])
    (run / name).symlink_to(outside)
    with pytest.raises(RunError, match=f"contains other files than those of a run: .*{name}"):
        RunFolder.new(tmp_path, "gan", 0, str(run))
    assert tree(outside) == {"reals.png"}


@pytest.mark.parametrize(
    "summary", ['{"status": "completed"}', '{"checkpoint": "checkpoints/last.ckpt"}', "{", "[]"]
)
def test_the_record_of_a_run_without_checkpoints_is_kept(tmp_path, summary):
    run = tmp_path / "run"
    written(run, OWN)
    (run / "summary.json").write_text(summary)
    before = tree(run)
    with pytest.raises(RunError, match=r"contains the record of a run .* remove=true"):
        RunFolder.new(tmp_path, "gan", 0, str(run))
    assert tree(run) == before


def test_what_ends_before_its_first_step_leaves_others_files(tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    folder = RunFolder.new(tmp_path / "logs", "gan", 0, str(given))
    written(given, [*OWN, "thesis.tex", "samples/mine.txt"])
    folder.discard(tmp_path / "logs")
    assert tree(given) == {"thesis.tex", "samples", "samples/mine.txt"}
    folder = RunFolder.new(tmp_path / "logs", "gan", 0)
    written(folder.path, OWN)
    folder.discard(tmp_path / "logs")
    assert not folder.path.exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    RunFolder.new(tmp_path / "logs", "gan", 0, str(empty)).discard(tmp_path / "logs")
    assert empty.is_dir()


def test_a_run_has_more_than_one_file_of_a_run(tmp_path):
    written(tmp_path, ["composed.yaml", "checkpoints/last.ckpt"])
    assert not is_run(tmp_path)
    (tmp_path / "summary.json").symlink_to("composed.yaml")
    assert is_run(tmp_path)


def test_paths_where_no_folder_can_be_created_are_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    for job in ("/proc/foo", "/dev/null", str(tmp_path / "file"), str(tmp_path / "file" / "x")):
        with pytest.raises(RunError, match=job):
            RunFolder.new(tmp_path, "gan", 0, job)
    for name in ("x" * 300, "x" * 5000):
        with pytest.raises(RunError, match=r"cannot create the run folder .*name too long"):
            RunFolder.new(tmp_path, name, 0)
        with pytest.raises(GanforgeError, match=r"no such run folder|a name of \d+ bytes"):
            RunFolder.find(name, tmp_path)


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder", "text"])
def test_a_lock_file_of_another_program_is_not_touched(tmp_path, kind):
    run, precious = tmp_path / "run", tmp_path / "precious"
    run.mkdir()
    if kind in ("link", "dangling"):
        (run / ".lock").symlink_to(precious)
    if kind != "dangling":
        precious.write_text("ssh-rsa AAAA me@home")
    if kind == "fifo":
        os.mkfifo(run / ".lock")
    if kind == "folder":
        (run / ".lock").mkdir()
    if kind == "text":
        shutil.copy(precious, run / ".lock")
    before = tree(tmp_path)
    assert holder(run) is None
    with pytest.raises(RunError, match=r"\.lock"), locked(run):
        pass
    assert tree(tmp_path) == before
    assert kind == "dangling" or precious.read_text() == "ssh-rsa AAAA me@home"
    assert kind != "text" or (run / ".lock").read_text() == "ssh-rsa AAAA me@home"


@pytest.mark.parametrize("place", ["", "samples", "checkpoints"])
def test_images_are_not_written_into_the_folder_of_a_run(tmp_path, place):
    run = tmp_path / "run"
    written(run, OWN)
    with pytest.raises(ConfigError, match="is in the folder of a run"):
        refuse_run(run / place)
    refuse_run(run / "mine")
    refuse_run(tmp_path / "samples")


def test_the_documentation_lists_every_file_of_a_run():
    page = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text()
    listed = set(re.findall(r"`([^` ]+)`", page.partition("## Run folder")[2]))
    files = [name for name in OWN if "/" not in name and ".tmp." not in name]
    assert {*files, *(f"{folder}/" for folder in FOLDERS)} <= listed
