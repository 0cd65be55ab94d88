"""Trains many configurations in one process on a null GPU, and counts the steps of each.

    python -m tests.nullcuda.trainings JOBS RESULTS

JOBS is a JSON file with overrides by name; RESULTS gets a JSON line for each name, with the counts
per step, or with the error. Importing takes longer than most of these trainings.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch

import ganforge


def train(overrides: list[str]) -> dict[str, Any]:
    """Returns the counts of a training, or its error."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "counts.jsonl"
        os.environ["NULLCUDA_REPORT"] = str(report)
        try:
            ganforge.train(ganforge.compose_config([*overrides, f"run_dir={folder}/run"]))
        except (Exception, SystemExit):  # the other trainings are to run in any case
            return {"error": traceback.format_exc()[-3000:]}
        text = report.read_text() if report.exists() else ""
    return json.loads(text) if text else {"error": "the training ended before the steps to count"}


def main() -> None:
    """Trains all jobs."""
    jobs, results = map(Path, sys.argv[1:])
    for name, overrides in json.loads(jobs.read_text()).items():
        row = {"name": name} | train(overrides)
        with results.open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
