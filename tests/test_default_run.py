"""The default run, as a new user starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.trainings import ROOT, environment


@pytest.mark.slow
def test_the_default_run_draws_digits(tmp_path):
    variables = environment() | {"GANFORGE_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, str(ROOT / "train.py"), "logger=csv"]
    done = subprocess.run(
        command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[0].startswith("run folder:")
    assert lines[-1] == f"run folder: {lines[0].split()[-1]}"
    summary = json.loads((Path(lines[0].split()[-1]) / "summary.json").read_text())
    fids = [point["fid_classifier"] for point in summary["history"]]
    assert fids[-1] < fids[0]
    assert summary["metrics"]["is_classifier"]["value"] > 8
    assert summary["metrics"]["label_agreement"]["value"] >= 0.9
