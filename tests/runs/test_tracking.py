"""What runs leave in Weights & Biases' transaction log, in TensorBoard's events and in the CSV.

Read back from the files: no server, no account.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganforge.commands.sync import parts_of
from ganforge.loggers.wandb import service
from tests.loggers.wandb.file import config, history, of_type, summary
from tests.support.trainings import SMALL

SIZES = [
    *(o for o in SMALL if not o.startswith(("logger=", "trainer.max_steps="))),
    "model=dcgan",
    "logger=wandb",
    "logger.wandb.mode=offline",
    "trainer.max_steps=8",
]
# What no repetition measures alike, and so no resumed run logs twice alike.
CLOCK = ("seconds", "images_per_second")


@pytest.fixture(autouse=True)
def _no_account(tmp_path, monkeypatch):
    import wandb

    service.teardown()  # first: the address of an ended process would be restored afterwards
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    wandb.teardown()
    yield
    wandb.teardown()


def written(run: Path) -> list[Path]:
    """Ends wandb's service, which may write after a run is over; returns the run's parts."""
    import wandb

    wandb.teardown()
    return parts_of(run)


def csv_points(run: Path) -> dict[int, dict[str, float]]:
    """Every value of metrics.csv, by step and name."""
    with open(run / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        int(row["step"]): {n: float(v) for n, v in row.items() if v != "" and n != "step"}
        for row in rows
    }


def wandb_points(part: Path) -> dict[int, dict[str, float]]:
    """Every number of a part's history, by step and name."""
    found: dict[int, dict[str, float]] = {}
    for row in history(part):
        if not any(name.endswith(".path") for name in row):  # of a picture
            point = {name: float(value) for name, value in row.items() if name != "step"}
            found.setdefault(int(row["step"]), {}).update(point)
    return found


def assert_defined(part: Path) -> None:
    defined = {m.name or m.glob_name: m for m in of_type(part, "metric")}
    assert {"step", "images_seen"} <= defined.keys()
    assert defined["*"].step_metric == "images_seen"


def assert_pictures(run: Path, part: Path) -> list[int]:
    """Every grid decodes to the pixels of the one in the run folder; returns their steps."""
    steps = []
    for row in history(part):
        for name in {"samples.path", "reals.path"} & row.keys():
            steps += [row["step"]] if name == "samples.path" else []
            own = "reals.png" if name == "reals.path" else f"step_{row['step']:07d}.png"
            with (
                Image.open(part / "files" / row[name]) as a,
                Image.open(run / "samples" / own) as b,
            ):
                np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    return steps


def latest(folder: Path) -> Path:
    return (folder / "logs" / "train" / "latest").resolve()


def test_a_run_is_recorded_whole(type_in, tmp_path):
    extras = [f"logger.wandb.{name}=true" for name in ("checkpoints", "tables", "alerts")]
    typed = type_in("train", *SIZES, *extras, "tags=[a,b]", "notes=why", "logger.wandb.group=mine")
    assert typed.code == 0, typed.err
    run = latest(tmp_path)
    (part,) = written(run)

    (header,) = of_type(part, "run")
    assert header.run_id == (run / "wandb" / "run_id").read_text()
    assert (header.run_group, header.job_type, header.notes) == ("mine", "train", "why")
    assert (list(header.tags), header.display_name) == (["a", "b"], "dcgan-digits")
    assert_defined(part)
    assert wandb_points(part) == csv_points(run)
    assert assert_pictures(run, part) == [0, 5, 8]

    settings = config(part)
    assert settings["model"]["_target_"] == "ganforge.models.DCGAN"
    assert settings["data"]["batch_size"] == 8
    assert settings["choices"]["loss"] == "nonsaturating"
    origin = settings["provenance"]
    assert "model=dcgan" in origin["overrides"]
    assert origin["environment"]["device"].startswith("cpu")
    assert origin == json.loads((run / "provenance.json").read_text())[0]
    code = origin["code"]  # None where the tests do not run from a git work tree
    assert header.git.commit == (code["commit"] if code else "")
    names = ("config.yaml", "composed.yaml", "provenance.json")
    for name in names:
        assert (part / "files" / "run" / name).read_text() == (run / name).read_text()
    saved = {file.path for record in of_type(part, "files") for file in record.files}
    assert {f"run/{name}" for name in names} <= saved

    ended = json.loads((run / "summary.json").read_text())
    reached = summary(part)
    assert (reached["status"], reached["best/step"]) == (
        "completed",
        ended["best"]["fid_small"]["step"],
    )
    assert reached["best/fid_small"] == ended["best"]["fid_small"]["value"]
    assert reached["fid_small"] == ended["metrics"]["fid_small"]["value"]
    assert_kept_checkpoints(run, part, ended)
    alerts = [(alert.title, alert.level) for alert in of_type(part, "alert")]
    assert alerts[-1] == ("Run completed", "INFO")


def assert_kept_checkpoints(run: Path, part: Path, ended: dict) -> None:
    kept = [a for a in of_type(part, "artifact") if a.type == "model"]
    assert [set(a.aliases) for a in kept] == [{"best", "latest"}, {"latest"}]
    sizes = [(run / "checkpoints" / f"{kind}.ckpt").stat().st_size for kind in ("best", "last")]
    assert [a.manifest.contents[0].size for a in kept] == sizes
    steps = [json.loads(a.metadata)["step"] for a in kept]
    assert steps == [ended["best"]["fid_small"]["step"], 8]
    tables = [row for row in history(part) if "samples_table.nrows" in row]
    assert [row["samples_table.nrows"] for row in tables] == [1, 2, 3]


def test_every_job_of_a_sweep_is_a_run_of_its_group(type_in, tmp_path):
    typed = type_in("train", "-m", *SIZES, "trainer.max_steps=4", "seed=1,2")
    assert typed.code == 0, typed.err
    runs = sorted(path.parent for path in (tmp_path / "logs" / "multirun").rglob("summary.json"))
    assert len(runs) == 2
    groups, ids = set(), set()
    for run in runs:
        (part,) = written(run)
        (header,) = of_type(part, "run")
        groups.add(header.run_group)
        ids.add(header.run_id)
        assert_defined(part)
        assert wandb_points(part) == csv_points(run)
        assert assert_pictures(run, part) == [0, 4]
        assert config(part)["seed"] == int(run.name[-1])
    folder = runs[0].parent
    assert groups == {f"sweep-{folder.parent.name}-{folder.name}"}
    assert len(ids) == 2


def test_a_resumed_run_continues_the_same_wandb_run(type_in, tmp_path):
    broken = [
        "+callbacks.broken._target_=tests.support.broken.BrokenAt",
        "+callbacks.broken.rank=0",
        "+callbacks.broken.step=7",
    ]
    alerts = "logger.wandb.alerts=true"
    first = type_in("train", *SIZES, *broken, alerts)
    assert first.code == 1
    run = latest(tmp_path)
    assert len(written(run)) == 1
    typed = type_in("train", f"resume={run}", "++callbacks.broken.step=-1")
    assert typed.code == 0, typed.err
    before, after = written(run)

    headers = [of_type(part, "run")[0] for part in (before, after)]
    assert headers[0].run_id == headers[1].run_id
    assert headers[1].resume
    assert [e.exit_code for part in (before, after) for e in of_type(part, "exit")] == [1, 0]
    (alert,) = of_type(before, "alert")[-1:]
    assert (alert.title, alert.text, alert.level) == ("Run failed", "broken at step 7", "ERROR")
    assert (summary(before)["status"], summary(after)["status"]) == ("failed", "completed")
    origin = config(after)["provenance"]
    assert origin["checkpoint"] is None
    assert [again["checkpoint"] for again in origin["resumed"]] == ["last.ckpt"]
    assert_can_continue(csv_points(run), wandb_points(before), wandb_points(after))
    assert assert_pictures(run, before) + assert_pictures(run, after) == [0, 5, 8]


def assert_can_continue(points: dict, before: dict, after: dict) -> None:
    """The parts together are metrics.csv, and what both have is the same but for the clock."""
    assert max(after) == 8
    assert {step: point for step, point in points.items() if step >= min(after)} == after
    assert {step: point for step, point in points.items() if step < min(after)} == {
        step: point for step, point in before.items() if step < min(after)
    }
    for step in before.keys() & after.keys():
        for name, value in before[step].items():
            assert name in CLOCK or after[step][name] == value or math.isnan(value)


def test_tensorboard_and_csv_have_the_same_values_under_the_same_names(type_in, tmp_path):
    typed = type_in("train", *SIZES[:-3], "logger=tensorboard", "trainer.max_steps=8")
    assert typed.code == 0, typed.err
    run = latest(tmp_path)
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0}).Reload()
    found: dict[int, dict[str, np.float32]] = {}
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            found.setdefault(event.step, {})[name] = np.float32(event.value)
    assert found == {
        step: {name: np.float32(value) for name, value in point.items()}
        for step, point in csv_points(run).items()
    }
    assert [event.step for event in events.Images("samples")] == [0, 5, 8]
