"""Runs commands as on a machine with null GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.nullcuda.build import built

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Machine:
    """A machine without GPUs that runs commands as if it had some.

    Attributes:
        devices: number of GPUs.
        steps: the steps to count, from the end of the first to the end of the last.
        source: the checkout whose ganforge runs; by default this one.
        capability: compute capability of the GPUs.
    """

    devices: int = 1
    steps: tuple[int, int] = (16, 32)
    source: Path = ROOT
    capability: tuple[int, int] = (9, 0)

    def environment(self, report: Path | None = None) -> dict[str, str]:
        """Returns the environment variables of a command.

        Args:
            report: where the counts of each rank go, one JSON line each; None prints tables.
        """
        folder = built()
        libraries = [folder / "libnullcuda.so", next(folder.glob("libnvrtc.so.*"))]
        # A stub of the driver in the folder of the libraries is found before an installed one.
        paths = [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]
        modules = [HERE / "startup", self.source / "src", ROOT, os.environ.get("PYTHONPATH", "")]
        variables = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"} | {
            "LD_PRELOAD": " ".join(map(str, libraries)),
            "LD_LIBRARY_PATH": ":".join(filter(None, paths)),
            "PYTHONPATH": ":".join(filter(None, map(str, modules))),
            "PYTORCH_NVML_BASED_CUDA_CHECK": "0",
            "NULLCUDA_DEVICES": str(self.devices),
            "NULLCUDA_MAJOR": str(self.capability[0]),
            "NULLCUDA_MINOR": str(self.capability[1]),
            "NULLCUDA_STEPS": "{}:{}".format(*self.steps),
            "WANDB_MODE": "offline",
        }
        variables.setdefault("OMP_NUM_THREADS", "1")
        if report is not None:
            variables["NULLCUDA_REPORT"] = str(report)
        return variables

    def run(
        self, command: Sequence[str], cwd: Path | None = None, report: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command and returns its exit code and its output, which includes stderr.

        Args:
            command: program and arguments; ``ganforge`` and ``python`` are those of this process.
            cwd: folder to run in.
            report: see :meth:`environment`.
        """
        return subprocess.run(
            spelled(command),
            cwd=cwd,
            env=self.environment(report),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def count(self, arguments: Sequence[str], cwd: Path | None = None) -> list[dict[str, Any]]:
        """Trains with the given arguments; returns the counts per step of each rank.

        Raises:
            RuntimeError: the training fails, or ends before the last step to count.
        """
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "counts.jsonl"
            done = self.run(["ganforge", "train", *arguments], cwd, report)
            lines = report.read_text().splitlines() if report.exists() else []
        counts = sorted((json.loads(line) for line in lines), key=lambda row: row["rank"])
        if done.returncode or not counts:
            raise RuntimeError(f"exit code {done.returncode}\n{done.stdout[-4000:]}")
        return counts

    def count_all(self, jobs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
        """Trains several configurations on one GPU; returns counts per step, or errors, by name.

        All run in one process, which is quicker than :meth:`count` of each.

        Raises:
            RuntimeError: the process ends before the last training.
        """
        with tempfile.TemporaryDirectory() as folder:
            given, results = Path(folder) / "jobs.json", Path(folder) / "results.jsonl"
            given.write_text(json.dumps({name: list(job) for name, job in jobs.items()}))
            command = ["python", "-m", "tests.nullcuda.trainings", str(given), str(results)]
            done = self.run(command, Path(folder))
            lines = results.read_text().splitlines() if results.exists() else []
        rows = {row.pop("name"): row for row in map(json.loads, lines)}
        if done.returncode or len(rows) < len(jobs):
            raise RuntimeError(f"exit code {done.returncode}\n{done.stdout[-4000:]}")
        return rows


def spelled(command: Sequence[str]) -> list[str]:
    """Returns a command with the interpreter of this process for ``ganforge`` and ``python``."""
    programs = {
        "ganforge": [sys.executable, "-c", "from ganforge.start import main; main()"],
        "python": [sys.executable],
    }
    return [*programs.get(command[0], [command[0]]), *command[1:]]
