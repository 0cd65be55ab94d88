from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganforge.commands.runs import RunFilter, age_in_seconds, distinct, elided, manage_runs
from ganforge.config.check import did_you_mean
from ganforge.config.quoting import options_as_filter
from ganforge.console import console
from ganforge.errors import ConfigError, RunError
from ganforge.runs import removal as run_removing
from ganforge.runs.entry import STATUSES, RunEntry, size_of
from ganforge.runs.folder import RunFolder
from ganforge.runs.latest import point_latest
from ganforge.runs.lock import locked
from ganforge.runs.past import REMOVING, find_runs
from ganforge.runs.resuming import resume as resuming
from ganforge.runs.sweep_record import Job, SweepRecord
from tests.commands.listings import DAY, TRAIN, composed, made
from tests.support.forking import fork, wait


def names(found) -> list[str]:
    return [run.path.name for run in found]


def rows(out: str) -> dict[str, list[str]]:
    """Returns the cells behind each run of a table, by the run's shown path."""
    lines = [re.split(r"  +", line.strip()) for line in out.splitlines()]
    return {cells[0]: cells[1:] for cells in lines if len(cells) == 6 and cells[0] != "run"}


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Runs `ganforge runs ...` and returns the names of the runs it found, in order."""
    monkeypatch.chdir(tmp_path)
    return lambda *typed: names(manage_runs(composed(typed)))


@pytest.fixture
def several(tmp_path):
    """Four runs of different age, status, options, size, step and score."""
    root = tmp_path / TRAIN
    fid, score = ("fid_classifier", "inception_score")
    made(root / "a", 1 * 3600, "failed", 40, (fid, 20.0, False), 4000, model="lsgan")
    made(root / "b", 1 * DAY, "completed", 10, (fid, 10.0, False), 1000)
    made(root / "c", 8 * DAY, "interrupted", 30, (score, 2.0, True), 2000, data="digits")
    made(root / "d", 9 * DAY, "completed", 20, (score, 3.0, True), 3000, model="lsgan")
    return root


# ---------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("12h", 43200), ("7d", 604800), ("1.5h", 5400), ("2w", 1209600)],
)
def test_ages_are_parsed(text, seconds):
    assert age_in_seconds("older_than", text) == seconds


@pytest.mark.parametrize("text", ["30", "d", "-1d", "7 d", "7D", "0d", "1e3d", "7days", "", "٣d"])
def test_other_ages_are_refused(text):
    with pytest.raises(ConfigError, match=r"newer_than=.*such as 30m, 12h or 7d"):
        age_in_seconds("newer_than", text)


def test_sizes_count_each_file_once(tmp_path):
    (tmp_path / "run" / "deep").mkdir(parents=True)
    (tmp_path / "run" / "one").write_bytes(b"0" * 700)
    (tmp_path / "run" / "deep" / "two").write_bytes(b"0" * 50)
    os.link(tmp_path / "run" / "one", tmp_path / "run" / "deep" / "one_again")
    (tmp_path / "elsewhere").write_bytes(b"0" * 100_000)
    assert size_of(tmp_path / "run") == 750
    (tmp_path / "run" / "link").symlink_to(tmp_path / "elsewhere")
    assert 750 < size_of(tmp_path / "run") < 100_000  # the link itself, and not what it leads to
    (tmp_path / "whole").symlink_to(tmp_path / "run")
    assert size_of(tmp_path / "whole") == 0


def test_a_long_path_is_cut_in_its_middle():
    assert elided("abcdefghij", 10) == "abcdefghij"
    assert elided("abcdefghijk", 10) == "abc…fghijk"  # 3 + 1 + 6
    for room in range(1, 60):
        assert len(elided("train/2026-11-22/13-07-13-dcgan-mnist-s0-and-more-of-it", room)) <= room


def test_paths_that_would_look_alike_are_not_cut():
    alike = [f"train/2026-11-22/13-{minute}-13-dcgan-mnist-s0" for minute in ("07", "08")]
    assert elided(alike[0], 20) == elided(alike[1], 20)
    assert distinct([*alike, f"{alike[0]}-2"], 20) == [*alike, elided(f"{alike[0]}-2", 20)]


def test_runs_can_be_told_apart_in_a_narrow_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for minute in ("07", "08"):
        made(Path(TRAIN) / f"13-{minute}-13-dcgan-mnist-s0")
    monkeypatch.setattr(console, "_width", 60)
    monkeypatch.setattr(logging.getLogger("ganforge"), "handlers", [])
    manage_runs(composed(()))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    first = [line.split("  ")[0].strip() for line in lines[1:-1]]
    shown = "".join(first)
    for minute in ("07", "08"):
        assert f"train/2026-11-22/13-{minute}-13-dcgan-mnist-s0" in shown


def test_the_age_is_of_the_last_change(tmp_path):
    run = made(tmp_path / "run", 5 * DAY)
    then = time.time() - 2 * DAY
    os.utime(run / "checkpoints" / "last.ckpt", (then, then))
    os.utime(run / "choices.json")  # says nothing of training
    assert RunEntry.read(run).changed == pytest.approx(then, abs=1e-3)
    shutil.rmtree(run / "checkpoints")
    assert time.time() - RunEntry.read(run).changed == pytest.approx(5 * DAY, abs=60)
    (run / "summary.json").unlink()  # killed at the very start: its configuration is all there is
    assert time.time() - RunEntry.read(run).changed == pytest.approx(5 * DAY, abs=60)


# ---------------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("completed", "completed"),
        ("failed", "failed"),
        ("interrupted", "interrupted"),
        ("pruned", "pruned"),
        ("running", "killed"),
        (None, "killed"),
        ("no such word", "killed"),
    ],
)
def test_running_needs_a_living_process(tmp_path, told, meant):
    run = made(tmp_path / "run", status=told)
    assert RunEntry.read(run).status == meant
    with locked(run):
        assert RunEntry.read(run).status == "running"
    assert RunEntry.read(run).status == meant


def test_a_killed_process_runs_no_longer(tmp_path):
    run = made(tmp_path / "run", status="running")

    def work():
        with locked(run):
            time.sleep(60)

    pid = fork(work)
    deadline = time.monotonic() + 30
    while RunEntry.read(run).status != "running":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(pid, 9)
    wait(pid)
    assert (run / ".lock").is_file()
    assert RunEntry.read(run).status == "killed"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"status": 3, "best": [1], "step": "x"}'])
def test_a_damaged_summary_hides_nothing(tmp_path, text):
    run = made(tmp_path / "run")
    (run / "summary.json").write_text(text)
    (run / "choices.json").write_text(text)
    found = RunEntry.read(run)
    assert (found.status, found.step, found.best) == ("killed", None, None)


# ---------------------------------------------------------------------- filters and order


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ([], "abcd"),
        (["status=failed"], "a"),
        (["status=failed,interrupted"], "ac"),
        (["status=completed"], "bd"),
        (["status=killed"], ""),
        (["model=lsgan"], "ad"),
        (["model=lsgan,dcgan"], "abcd"),
        (["data=digits"], "c"),
        (["older_than=2d"], "cd"),
        (["newer_than=2d"], "ab"),
        (["older_than=2h", "newer_than=204h"], "bc"),
        (["status=completed", "model=lsgan", "data=mnist", "older_than=1w"], "d"),
        (["status=completed", "model=lsgan", "data=digits"], ""),
        ([f"runs={TRAIN}/a,{TRAIN}/b", "status=completed"], "b"),
        ([f"runs={TRAIN}/[cd]"], "cd"),
        (["sort=size"], "adcb"),
        (["sort=step"], "acdb"),
        (["sort=name", "status=completed"], "bd"),
        (["sort=best"], "badc"),  # each score its own way, those of one name together
    ],
)
def test_what_is_listed(several, listed, typed, found):
    assert listed(*typed) == list(found)


def test_runs_without_a_score_or_a_step_come_last(several, listed):
    made(several / "e", status=None)
    assert listed("sort=best")[-1] == listed("sort=step")[-1] == "e"


def test_any_group_is_a_filter(several, listed):
    made(several / "e", loss="hinge", experiment="mnist/dcgan")
    assert listed("loss=hinge") == listed("experiment=mnist/dcgan") == ["e"]
    assert listed("experiment=dcgan", "loss=minimax,hinge") == ["e"]
    assert options_as_filter(["model=a", "sort=age"]) == ["++where.model=a", "sort=age"]


def test_an_option_of_ones_own_is_legal_where_a_run_has_it(several, listed):
    made(several / "e", model="mine")
    assert listed("model=mine") == ["e"]


def test_the_newest_sweep(tmp_path, listed):
    for sweep in ("2026-11-21/10-00-00", "2026-11-22/10-00-00"):
        for job in ("0-seed=1", "1-seed=2"):
            made(tmp_path / "logs" / "multirun" / sweep / job)
    found = listed("runs=latest", "sort=name")
    assert found == ["0-seed=1", "1-seed=2"]


def test_filters_as_they_are_typed(several, type_in):
    typed = type_in("runs", "status=failed,completed", "model=lsgan,dcgan", "data=[mnist]")
    assert (typed.code, typed.err) == (0, "")
    assert sorted(rows(typed.out)) == [f"train/2026-11-22/{name}" for name in "abd"]
    typed = type_in("runs", f"runs=[{TRAIN}/a,{TRAIN}/b]", "loss=hinge")
    assert (typed.code, typed.err) == (
        2,
        "ganforge: loss=hinge: runs do not record that choice; legal: data, model\n",
    )


REFUSED = [
    ("status=faild", f"status=faild: {did_you_mean('faild', list(STATUSES))}"),
    ("model=dcgn", "model=dcgn: no such option; did you mean 'dcgan'? legal: acgan, "),
    ("metrics=fid", "metrics=fid: runs do not record that choice; legal: data, model"),
    ("older_than=7", "older_than=7: must be a number above 0 and a unit"),
    ("older_than=7d newer_than=1d", "older_than=7d newer_than=1d: no run is both"),
    ("sort=bst", "sort=bst: did you mean 'best'? legal: age, best, size, step, name"),
    ("checkpoints_only=true", "checkpoints_only=true limits what remove=true removes"),
    ("remove=true", "Select some: runs=, status=, model=, data=, older_than= or newer_than="),
    ("remove=true sort=size checkpoints_only=true", "would remove every run"),
]


@pytest.mark.parametrize(("typed", "message"), REFUSED)
def test_what_is_refused(several, listed, typed, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        listed(*typed.split())
    assert len(list(several.iterdir())) == 4


@pytest.mark.parametrize(
    ("typed", "message"),
    [("modl=dcgan", "modl: no such key; did you mean 'model'?"), REFUSED[1], REFUSED[7]],
)
def test_refusals_as_they_are_typed(several, type_in, typed, message):
    refused = type_in("runs", typed)
    assert refused.code == 2
    assert message in refused.err
    assert len(list(several.iterdir())) == 4


def test_a_filter_that_filters_nothing_is_none():
    assert not RunFilter([], {"model": [], "data": []})
    assert RunFilter([], {"model": ["gan"]})


# ---------------------------------------------------------------------- the table


def test_the_table(several, type_in):
    typed = type_in("runs")
    assert (typed.code, typed.err) == (0, "")
    shown = rows(typed.out)
    sizes = [RunEntry.read(several / name).size for name in "abcd"]
    assert shown["train/2026-11-22/a"][:4] == ["failed", "40", "fid_classifier 20", "60 min"]
    assert shown["train/2026-11-22/d"][:4] == ["completed", "20", "inception_score 3", "9 days"]
    assert shown["train/2026-11-22/a"][4] == f"{sizes[0] / 1000:.1f} kB"
    assert typed.out.splitlines()[-1] == f"4 runs, {sum(sizes) / 1000:.1f} kB"


def test_the_table_keeps_to_80_columns(tmp_path, type_in):
    folder = tmp_path / "logs" / "multirun" / "2026-11-22" / "13-07-13"
    long = "0-model=stylegan2,loss=nonsaturating,optimizer.generator.lr=0.0001,seed="
    score = ("fid_inception", 1234.5678, False)
    for seed in (1, 2):
        made(folder / f"{long}{seed}", 120 * DAY, "interrupted", 1_234_567, score, 10**6)
    typed = type_in("runs")
    assert max(map(len, typed.out.splitlines())) <= 80
    for seed in (1, 2):  # what tells jobs apart stands at the end
        (cells,) = (
            cells for name, cells in rows(typed.out).items() if name.endswith(f"seed={seed}")
        )
        assert cells == ["interrupted", "1,234,567", "1,235", "120 days", "1.0 MB"]
    assert typed.out.splitlines()[-1] == "2 runs, 2.0 MB; best: fid_inception"


def test_several_scores_keep_to_80_columns(tmp_path, listed, capsys):
    for name in ("frechet_distance_of_a_long_name_AtoB", "kid_inception"):
        made(tmp_path / TRAIN / f"13-07-13-dcgan-mnist-{name}", best=(name, 0.001234, False))
    assert len(listed()) == 2
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_an_empty_log_folder(listed, capsys):
    assert listed() == listed("status=failed", "remove=true") == []
    assert capsys.readouterr().out == "no matching run in logs\nremoved 0 runs, 0 B\n"
    with pytest.raises(RunError, match="no run folder there or below"):
        listed("runs=nowhere")


def test_hundreds_of_runs(tmp_path, listed):
    for number in range(120):
        made(tmp_path / TRAIN / f"{number:03d}", number * 3600, weight=10, model="gan")
    assert listed() == [f"{number:03d}" for number in range(120)]
    assert len(listed("older_than=19.5h", "remove=true")) == 100
    assert len(find_runs(["logs"])) == 20


def test_nothing_heavy_is_imported(several, tmp_path):
    code = """
import sys
from ganforge import cli
assert cli.run(["runs", "model=lsgan", "sort=best"]) == 0
assert cli.run(["runs", "status=failed", "remove=true"]) == 0
print([name for name in ("torch", "lightning", "wandb", "numpy") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


# ---------------------------------------------------------------------- removing


def test_what_is_listed_is_what_is_removed(several, type_in):
    size = RunEntry.read(several / "a").size
    typed = type_in("runs", "status=failed", "remove=true")
    assert typed.code == 0
    assert typed.out.splitlines() == [
        f"removed {TRAIN}/a  {size / 1000:.1f} kB",
        f"removed 1 run, {size / 1000:.1f} kB",
    ]
    assert sorted(path.name for path in several.iterdir()) == ["b", "c", "d"]


def test_a_running_run_is_left(several, type_in):
    with locked(several / "a"):
        typed = type_in("runs", f"runs={TRAIN}", "remove=true")
    assert typed.code == 0
    assert f"not removed: process {os.getpid()} on" in typed.err
    assert "removed 3 runs" in typed.out
    assert [path.name for path in several.iterdir()] == ["a"]
    assert (several / "a" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize("only", ["false", "true"])
def test_a_run_that_is_resumed_just_then_is_left(several, type_in, monkeypatch, only):
    rename, locks = os.rename, []

    def slow(source, target):
        if not locks:  # another process was quicker, by a moment
            locks.append(locked(several / "a"))
            locks[0].__enter__()
        rename(source, target)

    monkeypatch.setattr(run_removing.os, "rename", slow)
    before = sorted((several / "a").rglob("*"))
    typed = type_in("runs", "status=failed", "remove=true", f"checkpoints_only={only}")
    locks[0].__exit__(None, None, None)
    assert typed.code == 0
    assert "is training in" in typed.err
    assert sorted((several / "a").rglob("*")) == before


class Killed(BaseException):
    pass


@pytest.mark.parametrize("only", ["false", "true"])
@pytest.mark.parametrize("at", ["rename", "half"])
def test_a_killed_removal_shows_no_half_removed_run(several, listed, monkeypatch, at, only):
    def dies(path):
        if at == "half" and Path(path).name != "last.ckpt":
            next(Path(path).rglob("*.ckpt")).unlink()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run_removing, "_delete", dies)
        with pytest.raises(Killed):
            listed("status=failed", "remove=true", f"checkpoints_only={only}")
    left = list(several.rglob(f"{REMOVING}*"))
    assert len(left) == 1
    gone = [] if only == "true" else ["a"]
    assert sorted(listed()) == sorted(set("abcd") - set(gone))
    assert len(find_runs(["logs"])) == 4 - len(gone)
    made(several / "a2", status="failed")  # the next removal is of something else
    assert listed("runs=logs/train/2026-11-22/a2", "remove=true") == ["a2"]
    assert not list(several.rglob(f"{REMOVING}*"))
    assert sorted(listed()) == sorted(set("abcd") - set(gone))


def test_only_leftovers_of_ours_are_cleared(several, listed):
    mine = several / f"{REMOVING}notes"
    mine.mkdir()
    (mine / "thoughts.txt").touch()
    (several / f"{REMOVING}file").touch()
    listed("status=failed", "remove=true")
    assert (mine / "thoughts.txt").is_file()
    assert (several / f"{REMOVING}file").is_file()


def test_what_is_being_removed_is_not_resumed(several):
    logs = several.parents[1]
    assert several / "c" in [folder.path for folder in resuming._unfinished(logs)]
    os.rename(several / "c", several / f"{REMOVING}c")
    assert [folder.path.name for folder in resuming._unfinished(logs)] == ["a"]


def test_only_checkpoints_are_removed(several, type_in):
    typed = type_in("runs", "status=completed", "remove=true", "checkpoints_only=true")
    assert f"removed {TRAIN}/b/checkpoints  1.0 kB" in typed.out
    assert "removed checkpoints of 2 runs, 4.0 kB" in typed.out
    assert sorted(path.name for path in (several / "b").iterdir()) == [
        "choices.json",
        "composed.yaml",
        "summary.json",
    ]
    assert (several / "a" / "checkpoints").is_dir()
    again = type_in("runs", "status=completed", "remove=true", "checkpoints_only=true")
    assert (again.code, again.out) == (0, "removed checkpoints of 0 runs, 0 B\n")


def test_what_links_lead_to_is_left(several, tmp_path, listed):
    disk = tmp_path / "disk"
    os.rename(several / "a" / "checkpoints", disk)
    (several / "a" / "checkpoints").symlink_to(disk)
    listed("status=failed", "remove=true", "checkpoints_only=true")
    assert (disk / "last.ckpt").is_file()
    assert not os.path.lexists(several / "a" / "checkpoints")


def test_empty_folders_of_dates_go_and_log_dir_stays(several, tmp_path, listed):
    made(tmp_path / "logs" / "train" / "2026-11-23" / "e", status="failed")
    listed("status=failed", "remove=true")
    assert [path.name for path in several.parent.iterdir()] == [several.name]
    listed("runs=logs", "remove=true")
    assert list((tmp_path / "logs").iterdir()) == []


def test_latest_leads_to_the_newest_that_is_left(several, tmp_path, listed):
    root = several.parent
    point_latest(several / "a", root)
    listed("status=interrupted", "remove=true")
    assert (root / "latest").resolve() == several / "a"  # was no part of it
    with pytest.raises(RunError, match=r"train/latest: not removed: it is a link"):
        listed("runs=logs/train/latest", "remove=true")
    assert listed(f"runs={TRAIN}/a", "remove=true") == ["a"]
    assert (root / "latest").resolve() == several / "b"
    assert RunFolder.find("latest", tmp_path / "logs").path == several / "b"
    job = made(tmp_path / "logs" / "multirun" / "2026-11-22" / "10-00-00" / "0-seed=1")
    listed(f"runs={TRAIN}/b", "remove=true")
    assert (root / "latest").resolve() == job  # jobs of sweeps are runs as well
    listed("runs=logs", "remove=true")
    assert not os.path.lexists(root / "latest")


def test_the_sweep_keeps_its_record(tmp_path, listed):
    sweep = tmp_path / "logs" / "multirun" / "2026-11-22" / "10-00-00"
    made(sweep / "0-seed=1")
    made(sweep / "1-seed=2", status="failed")
    made(sweep / "2-seed=3", status="running")
    states = ("completed", "failed", "running")
    jobs = [Job(n, [f"seed={n + 1}"], f"{n}-seed={n + 1}", s) for n, s in enumerate(states)]
    record = SweepRecord(sweep, "grid", "", ["seed=1,2,3"], "2026-11-22T10:00:00", "failed", jobs)
    record.write()
    text = (sweep / "sweep.json").read_text()
    assert len(listed("runs=latest", "remove=true")) == 3
    assert [path.name for path in sweep.iterdir()] == ["sweep.json"]
    assert (sweep / "sweep.json").read_text() == text
    # What was completed is not trained again; the others begin anew.
    assert [job.number for job in SweepRecord.read(sweep).unfinished()] == [1, 2]


def test_log_dir_is_never_removed(tmp_path, type_in):
    made(tmp_path / "logs")
    (tmp_path / "logs" / "train").mkdir()
    typed = type_in("runs", "runs=logs", "remove=true")
    assert typed.code == 1
    assert "not removed: it contains log_dir=logs with other runs" in typed.err
    assert (tmp_path / "logs" / "checkpoints" / "last.ckpt").is_file()


def test_a_read_only_folder_is_reported_and_the_others_are_removed(several, type_in, monkeypatch):
    closed, access = several / "a" / "checkpoints", os.access
    # The superuser, who may run this test, writes everywhere.
    monkeypatch.setattr(
        run_removing.os, "access", lambda path, mode: path != closed and access(path, mode)
    )
    typed = type_in("runs", f"runs={TRAIN}", "remove=true")
    assert typed.code == 1
    assert typed.err == (
        f"ganforge: not all could be removed:\n"
        f"  {several / 'a'}: not removed: {closed} is read-only\n"
    )
    assert "removed 3 runs" in typed.out
    assert (closed / "last.ckpt").is_file()


def test_a_disk_error_is_reported(several, type_in, monkeypatch):
    def refuses(source, target):
        raise OSError(30, "Read-only file system", str(source))

    monkeypatch.setattr(run_removing.os, "rename", refuses)
    typed = type_in("runs", "status=failed", "remove=true")
    assert typed.code == 1
    assert f"{several / 'a'}: Read-only file system" in typed.err
    assert "Traceback" not in typed.err
    assert typed.out == "removed 0 runs, 0 B\n"
    assert (several / "a" / "checkpoints" / "last.ckpt").is_file()
