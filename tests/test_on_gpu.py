"""The check on a GPU: its processes, its deadline and its page; and a part of it on a null GPU."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from gpu_items.journal import Item, Job, Journal  # noqa: E402
from gpu_items.page import page  # noqa: E402
from gpu_items.workers import Crew, missing  # noqa: E402

from tests.nullcuda.build import missing as nothing_to_build  # noqa: E402
from tests.nullcuda.machine import Machine  # noqa: E402

ITEMS = """
    import os, sys, time
    sys.path.insert(0, {benchmarks!r})
    from pathlib import Path
    from gpu_items.journal import Item, Job, Journal
    from gpu_items.workers import work

    def fail():
        raise ValueError("no plan")

    jobs = [
        Job("first", lambda: {{"ms": 1.0}}),
        Job("raises", fail),
        Job("exits", lambda: sys.exit(2)),
        Job("dies", lambda: os._exit(7)),
        Job("hangs", lambda: time.sleep(60)),
        Job("poisons", lambda: broken.append(1) or {{}}),
        Job("graph", fail, "no graphs"),
        Job("last", lambda: {{"ms": 2.0}}),
    ]
    broken = []
    items = [Item("speed", jobs, 50, longest=1.5), Item("late", [Job("late", fail)], 0)]
    arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    sys.exit(work(
        Journal(Path({folder!r})), items, 1.0, float(arguments["--until"]), True,
        lambda: not broken,
    ))
"""
LATE = Item("late", [Job("late", dict)], 0)


def rows_of(journal: Journal) -> dict[str, dict]:
    return {row["name"]: row for row in journal.rows()}


def crew(folder: Path, seconds: float, count: int = 1) -> Journal:
    """Runs the jobs above in processes of their own."""
    script, journal = folder / "items.py", Journal(folder / "out")
    names = {"benchmarks": str(BENCHMARKS), "folder": str(journal.folder)}
    script.write_text(textwrap.dedent(ITEMS).format(**names))
    item = Item("speed", [], 50, longest=1.5)
    until = time.time() + seconds
    Crew(journal, [item, LATE], count, [sys.executable, str(script)], 1.0, until).run()
    return journal


def test_no_measurement_ends_the_others(tmp_path, capsys):
    journal = crew(tmp_path, 100)
    rows = rows_of(journal)
    assert list(rows) == ["first", "raises", "exits", "dies", "hangs", "poisons", "graph", "last"]
    assert (rows["first"]["ms"], rows["last"]["ms"]) == (1.0, 2.0)
    assert rows["raises"]["error"] == "ValueError: no plan"
    assert 'raise ValueError("no plan")' in rows["raises"]["where"]
    assert rows["exits"]["error"] == "SystemExit: 2"
    assert rows["dies"]["error"] == "the process ended with code 7"
    assert rows["hangs"]["error"] == "not finished after 2 s"
    assert "error" not in rows["poisons"]
    assert rows["graph"]["left_out"] == "no graphs"
    assert len(capsys.readouterr().out.splitlines()) == 8
    # An item without time begins no job.
    assert [row["name"] for row in missing(journal, [LATE])] == ["late"]


@pytest.mark.slow
def test_several_processes_share_the_jobs(tmp_path):
    journal = crew(tmp_path, 100, count=3)
    assert sorted(row["name"] for row in journal.rows()) == sorted(rows_of(journal))
    assert len(journal.rows()) == 8


def test_the_deadline_ends_all_processes(tmp_path):
    rows = rows_of(crew(tmp_path, 0.8))
    assert "last" not in rows
    assert rows.get("hangs", {"error": "out of time"})["error"] == "out of time"


def test_processes_that_cannot_start_are_not_started_for_ever(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit(1)")
    journal = Journal(tmp_path / "out")
    command = [sys.executable, str(script)]
    Crew(journal, [Item("speed", [], 50)], 2, command, 1.0, time.time() + 100).run()
    assert journal.rows() == []


def test_the_page_shows_what_passed_what_failed_and_what_is_missing():
    machine = {"item": "machine", "name": "NVIDIA H200", "memory_gib": 141}
    rows = [
        {"item": "correct", "name": "gan 32-true", "passed": True},
        {"item": "correct", "name": "gan 16-mixed", "passed": False},
        {"item": "correct", "name": "wgan 32-true", "error": "ValueError: no plan"},
        {"item": "speed", "name": "dcgan", "ms": 2.0, "images_per_s": 16000.0, "peak_mib": 1234},
        {"item": "byhand", "name": "dcgan: eager", "ms": 1.6},
        {"item": "byhand", "name": "dcgan: graph", "left_out": "no time left"},
        {"item": "variants", "name": "dcgan: none", "ms": 2.0},
        {"item": "variants", "name": "dcgan: fused=false", "ms": 2.5},
        {"item": "compiled", "name": "dcgan: compile=default", "ms": 1.5},
    ]
    text = page([machine, *rows], "python benchmarks/on_gpu.py")
    assert "Measured on NVIDIA H200, memory_gib 141." in text
    assert "| correct | 3 | 1 | 2 | 0 |" in text
    assert "| gan | yes | **no** |" in text
    assert "| wgan | failed |  |" in text
    assert "| dcgan |  | 2 |  | 16,000 |  | 1,234 |  |" in text
    assert "- dcgan: 1.25 of the eager loop" in text
    assert "| fused=false | 2.5 |" in text
    assert "| compile=default | 1.5 |" in text
    assert "- correct, wgan 32-true: ValueError: no plan" in text
    assert "- byhand, not measured: no time left (dcgan: graph)" in text
    assert "null GPU" not in text
    assert "without meaning" in page([machine | {"name": "NVIDIA H200 (null)"}], "")


@pytest.mark.slow
def test_the_items_fit_into_the_planned_time():
    import on_gpu

    items = on_gpu.items(50, 5, null=False)
    assert sum(item.seconds for item in items.values()) <= on_gpu.PLANNED < 600
    assert all(item.longest <= max(60, item.seconds) for item in items.values())
    for item in items.values():
        names = [job.name for job in item.jobs]
        assert len(names) == len(set(names)) > 0
    left_out = {job.name for job in items["compiled"].jobs if job.left_out}
    assert left_out == {
        f"{name}: compile={mode}"
        for name in ("dcgan digits 32", "cifar10/sngan")
        for mode in ("default", "max")
    }


def test_differences_of_weights_are_found():
    from gpu_items.correctness import _differences

    first = {"weight": torch.ones(4), "running_mean": torch.zeros(2), "steps": torch.tensor(4)}
    second = first | {"weight": torch.tensor([1, 1, 1.0001, 1.5]), "running_mean": torch.ones(2)}
    assert _differences(first, dict(first)) == {"bit_equal": True, "largest": 0.0, "off": 0.0}
    # Running statistics count only as bits.
    assert _differences(first, second) == {"bit_equal": False, "largest": 0.5, "off": 0.25}


@pytest.mark.slow
@pytest.mark.skipif(bool(nothing_to_build()), reason=nothing_to_build())
def test_it_runs_on_a_null_gpu(tmp_path):
    items = ("equal", "byhand", "profile", "judge")
    script = str(BENCHMARKS / "on_gpu.py")
    options = ["--only", ",".join(items), "--each", "0.05", "--seconds", "5400"]
    done = Machine().run(["python", script, "--out", str(tmp_path), *options], tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    errors = {(row["item"], row["name"]): row["error"] for row in rows if "error" in row}
    assert errors == {}, done.stdout
    # A null GPU computes nothing, so that images differ.
    assert done.returncode == 1
    assert len([row for row in rows if row["item"] == "equal"]) == 20
    left_out = {row["name"] for row in rows if "left_out" in row and row["item"] == "byhand"}
    assert left_out == {name for name in left_out if "graph" in name or "compiled" in name}
    assert len(left_out) == 3
    assert "**A null GPU computes nothing" in (tmp_path / "on_gpu.md").read_text()
    assert (
        not (BENCHMARKS / "on_gpu.md").exists()
        or "(null)" not in (BENCHMARKS / "on_gpu.md").read_text()
    )
