from __future__ import annotations

import platform
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from ganforge.commands.report import report
from ganforge.compare.report import Comparison
from ganforge.compute.hardware import Hardware
from ganforge.config.command import Command
from ganforge.config.requests import ReportRequest
from ganforge.errors import ConfigError, RunError
from ganforge.report.jobs import Sweep
from ganforge.report.run_page import run_page
from ganforge.report.sweep_page import sweep_page
from ganforge.report.tables import rank
from ganforge.runs.code_version import CodeVersion
from ganforge.runs.past import PastRun
from ganforge.runs.provenance import record
from ganforge.runs.sweep_record import Job, SweepRecord
from tests.report.pages import grid, noise, read, whole_run
from tests.runs.past_runs import past_run, seeds

HINGE = {"settings": {"loss._target_": "losses.Hinge"}, "choices": {"loss": "hinge"}}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{$page}}"


def typed_in(type_in, *arguments):
    typed = type_in("report", *arguments)
    assert (typed.code, typed.err) == (0, "")
    return Path(re.search(r"written to (.*\.html) \(", typed.out)[1])


def made(**keys) -> Path:
    """Writes a page without a command line."""
    return report(ReportRequest(**{key: str(value) for key, value in keys.items()}))


# ---------------------------------------------------------------------- a run


@pytest.fixture
def run(tmp_path):
    versions = {"python": "3.11", "torch": "2.15"}
    return whole_run(
        tmp_path / "logs" / "run", 7, versions=versions, command="ganforge train seed=7"
    )


def test_the_page_of_a_run(run, type_in):
    path = typed_in(type_in, f"run={run}")
    assert path == run / "report.html"
    page = read(path)
    (score,) = page.rows("Scores")
    assert (score["score"], score["final"], score["best"]) == ("fid_classifier", "10 ± 0.1", "10")
    assert (score["images to best"], score["better"]) == ("1,280", "lower")
    assert "n_fake=2000" in score["protocol"]
    texts = set(page.texts)
    assert {"completed", "ganforge train seed=7", "1,280", "17.0 s"} <= texts
    assert {"optimizer.generator.lr", "0.001", "2.15"} <= texts
    assert {"fid_classifier", "loss", "logit", "images per second"} <= texts


def test_samples_follow_the_steps(run):
    page = read(made(run=run))
    frames = [image for image in page.all("img") if "data-caption" in image]
    assert [frame["data-caption"] for frame in frames] == [
        "step 0 · 0 images seen · fid_classifier 90",
        "step 10 · 640 images seen · fid_classifier 20",
        "step 20 · 1,280 images seen · fid_classifier 10",
    ]
    assert ["hidden" in frame for frame in frames] == [True, True, False]
    (slider,) = page.all("input", type="range")
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "2", "2")
    assert page.all("img", alt="Grid of real images")


def test_the_page_is_not_larger_than_max_mb(tmp_path):
    run = whole_run(tmp_path / "run")
    for step in range(30, 46):
        noise(run / "samples" / f"step_{step:07d}.png", 192, step)
    small = report(ReportRequest(str(run), max_mb=0.5))
    assert small.stat().st_size <= 500_000
    page = read(small)
    shown = [image for image in page.all("img") if "data-caption" in image]
    assert 1 < len(shown) < 19
    assert shown[-1]["data-caption"].startswith("step 45")
    assert f"{len(shown)} of the 19 grids" in " ".join(page.texts)
    assert len(read(made(run=run)).all("img")) == 20


def test_what_is_said_of_pictures_counts_too(tmp_path):
    run = PastRun.read(whole_run(tmp_path / "study" / "run"))
    sweep, ranking = Sweep.read([str(tmp_path / "study")]), rank([run], None)
    comparison = Comparison([], [], "final", 0.05)
    for written in (
        partial(run_page, run),
        partial(sweep_page, tmp_path, sweep, comparison, ranking),
    ):
        whole = len(written(10**7).encode())
        less = written(whole - 50)
        assert len(less.encode()) <= whole - 50
        assert less.count("<img") < written(10**7).count("<img")


@pytest.mark.parametrize("status", ["pruned", "failed", "interrupted", "running"])
def test_a_run_that_did_not_end(tmp_path, status):
    run = past_run(tmp_path / "run", status=status, error="CUDA <out> of memory")
    page = read(made(run=run))
    shown = {"running": "killed"}.get(status, status)
    (badge,) = page.all("span", class_="status")
    assert shown in page.texts
    assert badge["class"] == f"status {shown}"
    assert " CUDA <out> of memory" in page.texts
    assert "No grid of samples was saved." in page.texts
    assert (
        "No losses: metrics.csv is missing, or the run ended before the first logging step."
        in page.texts
    )


def test_a_folder_of_ruins(tmp_path):
    run = whole_run(tmp_path / "run")
    for name in ("summary.json", "metrics.csv", "samples/step_0000010.png", "choices.json"):
        (run / name).write_text("torn {")
    (run / "samples" / "reals.png").unlink()
    (run / "samples" / "step_x.png").write_text("")
    (run / "provenance.json").write_text("[3]")
    page = read(made(run=run))
    assert {"unknown", "No score was measured.", "The run has no grid of real images."} <= set(
        page.texts
    )
    assert len([image for image in page.all("img") if "data-caption" in image]) == 2


def test_who_trained_it(run, monkeypatch):
    versions = [CodeVersion("abc", None, "-a\r\n+b\r\n"), None]
    monkeypatch.setattr(CodeVersion, "read", lambda: versions.pop(0))
    for line, checkpoint in (("train", None), ("train resume=auto", Path("last.ckpt"))):
        record(run, Command(line), Hardware("cpu", 1, "32-true", False, False, ""), checkpoint)
    page = read(made(run=run))
    one, two = page.rows("Processes that trained the run")
    assert one["code"] == "abc, with the changes in code.diff"
    assert (one["resumed from"], one["command"]) == ("the start", "train")
    assert (two["resumed from"], two["command"]) == ("last.ckpt", "train resume=auto")
    assert two["code"] == "no repository"
    assert platform.platform() in page.texts


def test_no_string_of_a_run_becomes_markup(tmp_path):
    settings = {
        "notes": HOSTILE,
        "tags": [HOSTILE],
        f"callbacks.{HOSTILE.replace('.', '')}": HOSTILE,
    }
    told = {
        "run": HOSTILE,
        "status": HOSTILE,
        "error": HOSTILE,
        "model": HOSTILE,
        "command": HOSTILE,
    }
    told |= {"versions": {HOSTILE: HOSTILE}, "parameters": {HOSTILE: HOSTILE}, "device": HOSTILE}
    run = whole_run(tmp_path / "r&<i>un", settings=settings, name=HOSTILE, **told)
    (run / "metrics.csv").write_text(f'step,images_seen,"{HOSTILE.replace(chr(34), "")}"\n1,64,2\n')
    for path in (made(run=run), made(sweep=run)):
        page = read(path)
        assert [told.get("type") for told in page.all("script")].count(None) == 1
        assert not [image for image in page.all("img") if image["src"] == "x"]
        assert HOSTILE in "".join(page.texts)


def test_passwords_stay_at_home(tmp_path):
    url = "postgresql://me:hunter2@host/study"
    run = past_run(tmp_path / "run", settings={"tune.storage": url}, command=f"tune.storage={url}")
    text = made(run=run).read_text()
    assert "hunter2" not in text
    assert "postgresql://host/study" in text


# ---------------------------------------------------------------------- a sweep


@pytest.fixture
def sweep(tmp_path):
    folder = tmp_path / "logs" / "multirun" / "2026-11-22" / "10-00-00"
    jobs = []
    for loss, finals, others in (("minimax", (20.0, 21.0), {}), ("hinge", (10.0, 11.0), HINGE)):
        for run in seeds(folder / loss, finals, **others):
            overrides = [f"loss={loss}", f"seed={run.name}"]
            name = f"{len(jobs)}-{','.join(overrides)}"
            run.rename(folder / name)
            grid(folder / name / "samples" / "step_0000020.png", 90)
            jobs.append(Job(len(jobs), overrides, name, "completed"))
        (folder / loss).rmdir()
    jobs.append(Job(4, ["loss=x", "seed=1"], "4-loss=x,seed=1", "failed", "no such <loss>"))
    SweepRecord(folder, "grid", "ganforge train -m", [], "10:00", "failed", jobs).write()
    return folder


def test_the_page_of_a_sweep(sweep, type_in):
    path = typed_in(type_in, f"sweep={sweep}")
    assert path == sweep / "report.html"
    page = read(path)
    overview = page.rows("4 completed runs in 2 groups: final scores")
    assert overview[0] == {"group": "loss=hinge", "seeds": "2", "fid_classifier": "10.50 ± 0.71"}
    jobs = page.rows("All jobs")
    assert [(j["job"], j["loss"], j["seed"], j["status"]) for j in jobs][3:] == [
        ("3", "hinge", "2", "completed"),
        ("4", "x", "1", "failed"),
    ]
    assert [j["best fid_classifier"] for j in jobs] == ["20", "21", "10", "11", "-"]
    assert jobs[4]["error"] == "no such <loss>"
    assert len(page.all("path", class_="run")) == 5
    assert len(page.all("path", class_="scoreless")) == 1
    grids = [image["alt"] for image in page.all("img")]
    assert grids[0] == "Grid of generated images of loss=hinge, seed=1 at step 20"
    assert len(grids) == 4
    texts = " ".join(page.texts)
    assert "best job loss=hinge, seed=1: 10" in texts
    assert "loss=hinge (2 seeds)" in texts
    assert "optimizer.generator.lr" in page.texts


def test_the_newest_sweep(sweep):
    past_run(sweep.parent / "09-00-00" / "0-a")
    assert made(sweep="latest", log_dir=sweep.parents[2]) == sweep / "report.html"


def test_a_sweep_of_ruins(tmp_path):
    folder = tmp_path / "sweep"
    jobs = [Job(0, ["seed=1"], "0-seed=1", "failed", "why")]
    SweepRecord(folder, "search", "c", [], "10:00", "failed", jobs).write()
    (job,) = read(made(sweep=folder)).rows("All jobs")
    assert (job["status"], job["error"]) == ("failed", "why")
    past_run(folder / "0-seed=1")
    (folder / "0-seed=1" / "composed.yaml").write_text("a: [")
    (job,) = read(made(sweep=folder)).rows("All jobs")
    assert job["status"] == "unreadable"


def test_many_jobs(tmp_path):
    for number in range(60):
        settings = {"optimizer.generator.lr": 1e-5 * 1.1**number}
        curve = ((0, 90.0), (1280, 5.0 + number % 17))
        past_run(tmp_path / "sweep" / f"{number}", number % 3, curve, settings)
    path = made(sweep=tmp_path / "sweep")
    page = read(path)
    assert len(page.rows("All jobs")) == len(page.all("path", class_="run")) == 60
    assert path.stat().st_size < 450_000


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"run": "a", "sweep": "b"}, ConfigError, "legal: run=RUN or sweep=DIR"),
        ({"max_mb": 0.1}, ConfigError, "max_mb must be at least 0.5, got 0.1"),
        ({"max_mb": float("nan")}, ConfigError, "max_mb must be at most 10000, got nan"),
        (
            {"out": "page.pdf"},
            ConfigError,
            "out=page.pdf: must be the path of an HTML file, such as rep",
        ),
        ({"by": "model"}, ConfigError, "by compares runs and is only legal with sweep=DIR"),
        ({"run": "latest", "score": "fid"}, ConfigError, "score compares runs"),
        ({}, RunError, "no latest one"),
        ({"sweep": "latest"}, RunError, "there is no sweep under logs"),
        ({"sweep": "nowhere"}, RunError, "no run folder there"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, keys, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=re.escape(message)):
        report(ReportRequest(**keys))
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_there_is_not(type_in):
    typed = type_in("report", "sweeps=x")
    assert (typed.code, "did you mean 'sweep'?" in typed.err) == (2, True)


def test_a_page_that_cannot_be_written(run):
    (run.parent / "file").write_text("")
    with pytest.raises(ConfigError, match=r"out=.*file is a file, not a folder"):
        made(run=run, out=run.parent / "file" / "page.html")


def test_a_report_needs_nothing_heavy(run):
    code = "import sys; from ganforge.cli import run; code = run(sys.argv[1:]);"
    code += "print(code, [m for m in ('torch', 'lightning', 'wandb') if m in sys.modules])"
    command = [sys.executable, "-c", code, "report", f"run={run}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=run)
    assert done.stdout.splitlines()[-1] == "0 []"
