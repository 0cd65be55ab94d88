"""Searches as they are typed. The trainings are stood in for, but for those of the last part."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ganforge.config.command import Command
from ganforge.errors import DivergenceError, InterruptionError, PrunedError
from ganforge.runs.sweep_record import SweepRecord
from ganforge.search.report import draw
from tests.support.configs import DATA, QUIET, TRAINER

pytest.importorskip("optuna")

FIXED = [*DATA, *TRAINER, "logger=csv", "model=gan", "metrics=[fid]"]
LR = "optimizer.generator.lr"


class Trainings:
    """Stands in for training: writes what a run would, and ends as it is told to.

    Attributes:
        seen: the configuration of every trial, by number.
        ends: errors that trials end with, by number; each once.
    """

    def __init__(self) -> None:
        self.seen: dict[int, object] = {}
        self.ends: dict[int, BaseException] = {}

    def __call__(self, cfg) -> None:
        number = int(cfg.tune.trial)
        self.seen[number] = cfg
        folder = Path(Command.of(cfg).folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("composed.yaml", "config.yaml"):
            OmegaConf.save(cfg, folder / name)
        error = self.ends.pop(number, None)
        fid = abs(math.log10(cfg.optimizer.generator.lr) + 3)
        summary = {
            "status": "completed",
            "seconds": 1.0 + number,
            "step": 10,
            "metrics": {"fid_small": {"value": fid + 1}},
            "history": [{"step": 5, "fid_small": fid}, {"step": 10, "fid_small": fid + 1}],
        }
        if error is not None:
            summary |= {"status": "failed", "error": str(error), "error_kind": type(error).__name__}
        (folder / "summary.json").write_text(json.dumps(summary))
        if error is not None:
            raise error


@pytest.fixture
def trainings(monkeypatch) -> Trainings:
    trainings = Trainings()
    monkeypatch.setattr("ganforge.commands.train.train", trainings)
    monkeypatch.setattr("ganforge.search.report.draw", lambda *arguments: [])
    return trainings


@pytest.fixture
def figures(trainings, monkeypatch) -> None:
    """Lets searches draw their figures, which takes longer than all else."""
    monkeypatch.setattr("ganforge.search.report.draw", draw)


def search(*overrides: str) -> list[str]:
    return ["train", "tune=learning_rates", *FIXED, *overrides]


def folder_of(root: Path) -> Path:
    (folder,) = (root / "logs" / "multirun").glob("*/*")
    return folder


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "study.csv") as file:
        return list(csv.DictReader(file))


def test_a_search_runs_its_trials_and_reports_the_best(type_in, tmp_path, trainings, figures):
    typed = type_in(*search("tune.n_trials=4"))
    assert typed.code == 0, typed.err
    folder = folder_of(tmp_path)
    rows = table(folder)
    assert [row["trial"] for row in rows] == [str(number) for number in range(4)]
    for row in rows:
        value = abs(math.log10(float(row[LR])) + 3)
        assert float(row["fid_small"]) == pytest.approx(value)  # the best evaluation, not the last
        cfg = trainings.seen[int(row["trial"])]
        assert cfg.optimizer.generator.lr == float(row[LR])
        assert Path(row["folder"]).parent == folder
    assert {"sweep.json", "study.log", "study_history.png"} <= {p.name for p in folder.iterdir()}
    assert (folder / "study_importance.png").is_file()
    record = SweepRecord.read(folder)
    assert (record.kind, record.status) == ("search", "completed")
    assert [job.status for job in record.jobs] == ["completed"] * 4
    assert all((folder / job.folder).is_dir() for job in record.jobs)
    best = min(rows, key=lambda row: float(row["fid_small"]))
    assert f"{float(best['fid_small']):.5g}" in typed.out
    assert not list(folder.glob("*.turn*"))


def test_failed_diverged_and_pruned_trials_are_recorded_and_the_search_continues(
    type_in, tmp_path, trainings
):
    trainings.ends = {
        0: ArithmeticError("does not work"),
        1: DivergenceError("a loss is not finite at step 3"),
        2: PrunedError("collapsed"),
    }
    typed = type_in(*search("tune.n_trials=4"))
    assert typed.code == 0, typed.err
    rows = table(folder_of(tmp_path))
    assert [row["state"] for row in rows] == ["failed", "pruned", "pruned", "completed"]
    assert [row["error"] for row in rows[:3]] == [
        "does not work",
        "a loss is not finite at step 3",
        "collapsed",
    ]
    assert "ArithmeticError" in typed.err  # told at once
    assert "collapsed" not in typed.err
    statuses = [job.status for job in SweepRecord.read(folder_of(tmp_path)).jobs]
    assert statuses == ["failed", "pruned", "pruned", "completed"]


def test_a_search_without_a_completed_trial_fails(type_in, trainings):
    trainings.ends = {0: ArithmeticError("no")}
    typed = type_in(*search("tune.n_trials=1"))
    assert typed.code == 1
    assert "no trial of" in typed.err


def test_an_interrupted_search_resumes_the_trial_in_its_folder(type_in, tmp_path, trainings):
    trainings.ends = {1: InterruptionError("interrupted at step 3")}
    typed = type_in(*search("tune.n_trials=2"))
    assert typed.code == 130
    folder = folder_of(tmp_path)
    record = SweepRecord.read(folder)
    assert (record.status, record.jobs[-1].status) == ("interrupted", "interrupted")
    interrupted = trainings.seen[1]
    typed = type_in(*search("tune.n_trials=2", "resume=auto"))
    assert typed.code == 0, typed.err
    assert folder_of(tmp_path) == folder  # no second one
    repeated = trainings.seen[2]
    assert repeated.run_dir == interrupted.run_dir
    assert repeated.optimizer == interrupted.optimizer
    rows = table(folder)
    assert [row["state"] for row in rows] == ["completed", "abandoned", "completed"]
    assert rows[2]["repeats"] == "1"
    # Done: the next one starts anew, and more trials go on.
    assert type_in(*search("tune.n_trials=3", "resume=auto")).code == 0
    assert len(table(folder_of(tmp_path))) == 4
    assert type_in(*search("tune.n_trials=3", "resume=auto")).code == 0
    assert len(list((tmp_path / "logs" / "multirun").glob("*/*"))) == 2


@pytest.mark.slow
def test_several_objectives(type_in, tmp_path, figures):
    typed = type_in(*search("tune.n_trials=3", "+tune.objectives.seconds=minimize"))
    assert typed.code == 0, typed.err
    assert "Pareto-best" in typed.out
    folder = folder_of(tmp_path)
    assert [float(row["seconds"]) for row in table(folder)] == [1.0, 2.0, 3.0]
    assert (folder / "study_pareto.png").is_file()


@pytest.mark.slow
def test_the_command_line_adds_to_the_space_and_fixes_values(type_in, tmp_path, trainings):
    typed = type_in(
        *search("tune.n_trials=4", "sampler=random", "loss=hinge,minimax", f"{LR}=0.001", "seed=7")
    )
    assert typed.code == 0, typed.err
    assert {cfg.optimizer.generator.lr for cfg in trainings.seen.values()} == {0.001}
    assert {cfg.seed for cfg in trainings.seen.values()} == {7}
    rows = table(folder_of(tmp_path))
    assert {row["loss"] for row in rows} <= {"hinge", "minimax"}
    assert LR not in rows[0]


@pytest.mark.slow
def test_a_grid_is_walked_once(type_in, tmp_path, trainings):
    both = [f"{LR}=1e-4,2e-4", "optimizer.discriminator.lr=range(1,4)", "sampler=grid"]
    assert type_in(*search(*both)).code == 0
    assert (
        len({(row[LR], row["optimizer.discriminator.lr"]) for row in table(folder_of(tmp_path))})
        == 6
    )


@pytest.mark.slow
def test_the_trials_are_compared_by_their_parameters(type_in, tmp_path, trainings):
    type_in(*search("tune.n_trials=3", "sampler=random"))
    typed = type_in("compare", f"runs={folder_of(tmp_path)}")
    assert typed.code == 0, typed.err
    assert "3 completed runs in 3 groups" in typed.out
    assert "optimizer" in typed.out
    assert "tune." not in typed.out


STAND_IN = """#!/bin/sh
for word in "$@"; do
    case $word in run_dir=*) run=${word#run_dir=};; tune.trial=*) trial=${word#tune.trial=};; esac
done
run=$(echo "$run" | tr -d "'\\"")
[ $trial = 1 ] && { echo 'ganforge: no such data'; exit 2; }
mkdir -p $run
echo '{"status": "completed", "metrics": {"fid_small": {"value": '$trial'}}}' > $run/summary.json
"""


def test_trials_run_side_by_side_without_choosing_a_launcher(type_in, tmp_path, monkeypatch):
    """A shell script stands in for the processes that train."""
    script = tmp_path / "python"
    script.write_text(STAND_IN)
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr("ganforge.search.report.draw", lambda *arguments: [])
    more = ["tune.n_jobs=3", "tune.n_trials=3", "tune.value=final", "hydra.launcher.jobs=2"]
    typed = type_in(*search(*more))
    assert typed.code == 0, typed.err
    record = SweepRecord.read(folder_of(tmp_path))
    assert [job.status for job in record.jobs] == ["completed", "failed", "completed"]
    assert record.jobs[1].error.startswith("RunError: no such data; its output is in")
    assert (record.path / ".output" / "1.log").is_file()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tune.objectives={fid:down}"], "tune.objectives.fid must be one of minimize, maximize"),
        pytest.param(
            ["+tune.objectives.fdi=minimize"], "did you mean 'fid'?", marks=pytest.mark.slow
        ),
        (["sampler=grid"], "is continuous: use choice"),
        (["loss=choice(hinge,hing)"], "loss=hing: no such option; did you mean 'hinge'?"),
        (["model.critic_steps=choice(1,a)"], "model.critic_steps: must be a whole number"),
        pytest.param(
            ["tune.n_jobs=2", "hydra/launcher=basic"],
            "hydra/launcher=basic runs one trial after the other",
            marks=pytest.mark.slow,
        ),
        (["tune.n_trial=2"], "tune.n_trial: no such key; did you mean 'n_trials'?"),
        pytest.param(
            ["tune.n_trials=x"], "tune.n_trials: must be a whole number", marks=pytest.mark.slow
        ),
        pytest.param(["+tune.trail=2"], "takes no 'trail'", marks=pytest.mark.slow),
        pytest.param(["tune.trial=2"], "the search sets it for its trials", marks=pytest.mark.slow),
        (["pruner=asha", "+tune.objectives.seconds=minimize"], "a pruner compares one score"),
        (["resume=nowhere"], "resume=nowhere: no such folder"),
        pytest.param(
            ["tune.storage=mysql://host/db"],
            "must be a file's path, or postgresql://",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["dry_run=true"], "dry_run=true yields no scores to search by", marks=pytest.mark.slow
        ),
        pytest.param(
            ["hydra.sweeper.max_batch_size=3"], "a search has tune.n_jobs", marks=pytest.mark.slow
        ),
        pytest.param(
            ["sampler=cmae"],
            "sampler=cmae: no such option; did you mean 'cmaes'?",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    type_in, tmp_path, trainings, overrides, message
):
    typed = type_in(*search(*overrides))
    assert message in typed.err
    assert typed.code in (1, 2)
    assert "Traceback" not in typed.err
    assert trainings.seen == {}
    assert not list(tmp_path.rglob("*.json"))
    assert not list((tmp_path / "logs").glob("multirun/*/*"))


def test_a_sampler_without_a_search_is_refused(type_in, tmp_path):
    typed = type_in("train", *FIXED, *QUIET, "sampler=tpe", "trainer.max_steps=1")
    assert typed.code == 2
    assert "a search needs tune=NAME" in typed.err
    assert not list(tmp_path.rglob("summary.json"))


@pytest.mark.slow
def test_a_search_is_not_resumed_with_other_overrides(type_in, tmp_path, trainings):
    type_in(*search("tune.n_trials=2"))
    folder = folder_of(tmp_path)
    typed = type_in(*search("tune.n_trials=2", "seed=3", f"resume={folder}"))
    assert typed.code == 2
    assert "a search with other overrides" in typed.err
