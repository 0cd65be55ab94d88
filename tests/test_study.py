"""Runs the commands of docs/running-a-study.md in order and unchanged."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "running-a-study.md").read_text()
COMMANDS = re.findall(r"^    uv run (.*)$", PAGE, flags=re.MULTILINE)
SWEEP = next(one for one in COMMANDS if " -m " in one)


def arguments(command: str) -> list[str]:
    """Returns a command of the page for this Python interpreter, as `uv run` would start it."""
    words = shlex.split(command)
    while words[0] == "--extra":
        words = words[2:]
    start = {"train.py": [str(ROOT / "train.py")], "ganforge": ["-m", "ganforge"]}[words[0]]
    return [sys.executable, *start, *words[1:]]


def sweeps(folder: Path) -> list[dict]:
    """Returns the records of all sweeps in a folder, oldest first."""
    found = sorted((folder / "logs" / "multirun").glob("*/*/sweep.json"))
    return [json.loads(path.read_text()) for path in found]


def kill_in_its_second_job(command: str, folder: Path) -> None:
    """Starts a sweep and kills it when one job is complete."""
    process = subprocess.Popen(arguments(command), cwd=folder, start_new_session=True)
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and process.poll() is None:
        done = [job["status"] for one in sweeps(folder) for job in one["jobs"]].count("completed")
        if done:
            break
        time.sleep(0.2)
    assert process.poll() is None, "the sweep ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_the_page_has_its_parts():
    assert len(COMMANDS) >= 10
    assert any("resume=auto" in one and one.startswith("train.py -m") for one in COMMANDS)
    for part in ("compare", "report", "tune=", "evaluate", "dry_run"):
        assert any(part in one for one in COMMANDS), part


@pytest.mark.slow
def test_a_study(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    for command in COMMANDS:
        if command == SWEEP:
            kill_in_its_second_job(command, tmp_path)
            continue
        done = subprocess.run(
            arguments(command), cwd=tmp_path, capture_output=True, text=True, timeout=1200
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    grid, search = sweeps(tmp_path)
    assert [job["status"] for job in grid["jobs"]] == ["completed"] * 6
    assert [job["status"] for job in search["jobs"]].count("completed") == 5
    (sweep,) = (tmp_path / "logs" / "multirun").glob("*/*/comparison.md")
    assert "| model=dcgan | 3 |" in sweep.read_text()
    for page in ("study.html", "run.html"):
        assert "</html>" in (tmp_path / page).read_text()
