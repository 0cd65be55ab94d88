from __future__ import annotations

import json

import pytest

from ganforge.commands.compare import compare_runs
from ganforge.config.compose import compose_config
from ganforge.errors import RunError
from ganforge.report.run_page import run_page
from ganforge.runs.past import PastRun
from ganforge.runs.stored.past_summary import read_summary
from ganforge.runs.sweep_record import SweepRecord
from tests.runs.past_runs import past_run

WRONG = {
    "status": 3,
    "step": "20",
    "images_seen": 1e9,
    "seconds": [],
    "metrics": {"fid": {"value": "low"}},
    "best": {"fid": 3},
    "history": [{"step": 1, "fid": "low"}],
    "parameters": None,
    "versions": [1],
    "error": {},
    "command": 7,
    "data": [],
    "checkpoint": 3,
    "images_per_second": 10**400,
}


@pytest.mark.parametrize("key", WRONG)
def test_values_of_another_type_are_left_out_and_named(tmp_path, key):
    run = past_run(tmp_path / "run")
    assert read_summary(run)[1] == ""
    found = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(found | {key: WRONG[key]}))
    summary, fault = read_summary(run)
    assert key not in summary
    assert summary["run"] == "run"
    assert fault == f"{run}/summary.json: damaged (values of another type: {key})"
    run_page(PastRun.read(run), 1_000_000)


@pytest.mark.parametrize("text", ["[" * 10_000, "[1]", "7", "\0", '{"status":'])
def test_one_damaged_summary_hides_no_other_run(tmp_path, type_in, text):
    damaged, sound = past_run(tmp_path / "a"), past_run(tmp_path / "b", 2)
    (damaged / "summary.json").write_text(text)
    (damaged / "choices.json").write_text(text)
    typed = type_in("runs", f"runs={tmp_path}")
    assert typed.code == 0
    assert f"{damaged}/summary.json: damaged" in typed.err + typed.out
    assert sound.name in typed.out
    if text != "[1]":
        return
    cfg = compose_config([f"runs={tmp_path}"], "compare")
    (group,) = compare_runs(cfg).groups
    assert ([run.path for run in group.runs], len(group.omitted)) == ([sound], 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"jobs": [{"number": 0, "overrides": ["a=1"], "folder": "../elsewhere"}]},
        {"jobs": [{"number": 0, "overrides": [1], "folder": "0"}]},
        {"jobs": [{"number": 0, "overrides": [], "folder": 3}]},
        {"jobs": 3},
        {"overrides": 3},
        {"status": []},
    ],
)
def test_a_sweeps_record_of_another_form_is_refused(tmp_path, changed):
    record = SweepRecord(tmp_path, "grid", "", [], "2026-11-22")
    record.write()
    assert SweepRecord.read(tmp_path) == record
    found = json.loads((tmp_path / "sweep.json").read_text())
    (tmp_path / "sweep.json").write_text(json.dumps(found | changed))
    with pytest.raises(RunError, match=r"sweep\.json: cannot be read"):
        SweepRecord.read(tmp_path)
