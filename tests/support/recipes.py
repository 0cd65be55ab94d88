"""Recipes that take minutes, as users start them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.trainings import ROOT, environment


def trained(experiment: str, folder: Path, threads: int = 1) -> dict[str, Any]:
    """Trains a recipe and returns its summary; results depend on the number of threads."""
    variables = environment() | {
        "GANFORGE_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [sys.executable, str(ROOT / "train.py"), f"experiment={experiment}", "logger=csv"]
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = Path(done.stdout.strip().splitlines()[-1].removeprefix("run folder:").strip())
    return json.loads((run / "summary.json").read_text())
