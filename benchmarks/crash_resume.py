"""Kills one training repeatedly, resumes it and compares the result with an uninterrupted run.

    uv run python benchmarks/crash_resume.py
    uv run python benchmarks/crash_resume.py --kills 50 --seed 7

The same command, `train ... resume=auto`, is repeated until the run is complete. Every time but the
last, its process is killed (SIGKILL) at a random moment: during training or, every other time,
while a checkpoint is being written, that is, while its temporary file exists. A checkpoint is
saved every few steps, in the background; scores and sample grids are computed along the way. After
each kill every file of the run is read: checkpoints (complete, without pickled code), JSON, YAML,
CSV, PNG. At the end all weights, optimizer states, scores and grids are compared bit by bit with an
uninterrupted run of the same seed. Prints the table and writes crash_resume.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image

from ganforge import cli

HERE = Path(__file__).parent
COMMAND = [
    "data=digits",
    "data.image_size=16",
    "data.max_images=500",
    "data.batch_size=16",
    "network.generator.width=16",
    "network.discriminator.width=16",
    "metrics=[fid]",
    "trainer=cpu",
    "trainer.precision=32-true",
    "trainer.log_every_n_steps=3",
    "logger=csv",
    "callbacks.evaluation.every_n_steps=50",
    "callbacks.evaluation.n=100",
    "callbacks.samples.every_n_steps=50",
    "callbacks.samples.count=16",
    "callbacks.checkpoints.every_n_steps=3",
    "callbacks.checkpoints.background=true",
    "~callbacks.progress",
]
LONGEST = 0.3  # maximum seconds of training between a checkpoint and a kill
CLOCKS = {"seconds", "seconds_evaluating", "images_per_second"}


@dataclass
class Kill:
    """One kill.

    Attributes:
        where: "training", or "writing" a checkpoint.
        step: step of the checkpoint that the run resumes from.
        half_written: bytes of the partial checkpoint of the killed process; 0 if there is none.
        files: number of files of the run that were read afterwards.
    """

    where: str
    step: int
    half_written: int
    files: int


class Training:
    """The command in a process forked from this one, which has already imported everything.

    Args:
        overrides: command line after `ganforge train`.
        log_dir: folder of its outputs.
    """

    def __init__(self, overrides: list[str], log_dir: Path) -> None:
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._train([*overrides, f"log_dir={log_dir}"], log_dir / "output.txt")

    def _train(self, overrides: list[str], output: Path) -> None:
        code = 1
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            code = cli.run(["train", *overrides])
        finally:
            os._exit(code)

    def poll(self) -> int | None:
        """Returns the exit code, or None while the process runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self) -> int:
        """Waits for the process; returns its exit code, or minus the signal that killed it."""
        while self.poll() is None:
            time.sleep(0.01)
        assert self.code is not None
        return self.code


def run_of(log_dir: Path) -> Path | None:
    """Returns the run folder, None before it exists; there must never be a second one."""
    found = sorted(path.parent for path in log_dir.glob("train/20*/*/composed.yaml"))
    assert len(found) <= 1, f"more than one run: {found}"
    return found[0] if found else None


def killed(process: Training, log_dir: Path, where: str, rng: random.Random) -> int:
    """Kills the process at a random moment; returns the bytes of a partial checkpoint.

    Returns -1 if the run completed before.
    """
    first, nth = _checkpoint_time(log_dir), 0
    wanted, delay = rng.randint(1, 4), rng.uniform(0.0, LONGEST)
    while process.poll() is None:
        halves = list(log_dir.glob("train/20*/*/checkpoints/*.tmp.*"))
        now = _checkpoint_time(log_dir)
        nth, first = (nth + 1, now) if now != first else (nth, first)
        if where == "writing" and nth >= wanted and halves:
            time.sleep(rng.uniform(0.0, 0.003))
            break
        if where == "training" and nth >= 1:
            time.sleep(delay)
            break
        time.sleep(0.0002)
    else:
        return -1
    os.kill(process.pid, signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        return -1
    return sum(path.stat().st_size for path in log_dir.glob("train/20*/*/checkpoints/*.tmp.*"))


def _checkpoint_time(log_dir: Path) -> int:
    for path in log_dir.glob("train/20*/*/checkpoints/last.ckpt"):
        return path.stat().st_mtime_ns
    return 0


def read_all(run: Path) -> int:
    """Reads every file of a run except temporary ones; returns their number."""
    readers = {".ckpt": load, ".json": _json, ".yaml": _yaml, ".csv": rows, ".png": _picture}
    paths = [p for p in run.rglob("*") if p.is_file() and ".tmp." not in p.name]
    paths = [path for path in paths if path.name != ".lock"]
    for path in paths:
        reader = readers.get(path.suffix, Path.read_bytes)
        reader(path)
    return len(paths)


def load(path: Path) -> dict[str, Any]:
    """Reads a checkpoint (tensors and plain data only)."""
    checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
    return checkpoint


def rows(path: Path) -> list[dict[str, str]]:
    """Reads a CSV file; the resumed run rewrites a row that was truncated by a kill."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _json(path: Path) -> None:
    json.loads(path.read_text())


def _yaml(path: Path) -> None:
    yaml.safe_load(path.read_text())


def _picture(path: Path) -> None:
    Image.open(path).load()


def plain(value: Any) -> Any:
    """Returns nested values without timings, with tensors replaced by digests of their bytes."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items() if key not in CLOCKS}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, torch.Tensor):
        data = value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return f"{tuple(value.shape)} {value.dtype} {hashlib.sha256(data).hexdigest()}"
    return value


def result(run: Path) -> dict[str, Any]:
    """Returns the values by which two runs are compared."""
    found = {}
    for kind in ("last", "previous", "best"):
        if (run / "checkpoints" / f"{kind}.ckpt").exists():
            found[kind] = plain(load(run / "checkpoints" / f"{kind}.ckpt"))
            del found[kind]["loops"]  # Lightning's counters restart when a run is resumed
    summary = json.loads((run / "summary.json").read_text())
    found |= {key: plain(summary[key]) for key in ("status", "step", "metrics", "best", "history")}
    found["metrics.csv"] = plain(rows(run / "metrics.csv"))
    for path in sorted((run / "samples").glob("*.png")):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def survive(kills: int, steps: int, seed: int, root: Path) -> tuple[list[Kill], dict[str, Any]]:
    """Trains with repeated kills; returns the kills and the result."""
    rng, kill_list = random.Random(seed), []
    overrides = [*COMMAND, f"trainer.max_steps={steps}", "resume=auto"]
    while len(kill_list) < kills:
        where = "writing" if len(kill_list) % 2 else "training"
        process = Training(overrides, root)
        partial_bytes = killed(process, root, where, rng)
        assert partial_bytes >= 0, f"complete after {len(kill_list)} kills: more steps are needed"
        run = run_of(root)
        if run is None or not (run / "checkpoints" / "last.ckpt").exists():
            continue
        files = read_all(run)
        step = int(load(run / "checkpoints" / "last.ckpt")["progress"]["iteration"])
        kill_list.append(Kill(where, step, partial_bytes, files))
        print(kill_list[-1], flush=True)
    assert Training(overrides, root).wait() == 0, (root / "output.txt").read_text()[-3000:]
    run = run_of(root)
    assert run is not None
    read_all(run)
    strays = [path for path in run.rglob("*") if ".tmp." in path.name or path.name == ".lock"]
    assert not strays, strays
    return kill_list, result(run)


def table(kill_list: list[Kill], steps: int, same: bool, compared: int) -> str:
    """Returns the table in Markdown."""
    lines = ["| kill | during | resumed from step | partial checkpoint, bytes | files read |"]
    lines += ["|---:|---|---:|---:|---:|"]
    for index, kill in enumerate(kill_list, 1):
        lines.append(
            f"| {index} | {kill.where} | {kill.step} | {kill.half_written} | {kill.files} |"
        )
    partial = sum(kill.half_written > 0 for kill in kill_list)
    outcome = "bit-identical to" if same else "DIFFERENT from"
    lines += [
        "",
        f"{len(kill_list)} kills over one training of {steps} steps, {partial} of them with a "
        f"checkpoint partially written. The result is {outcome} the uninterrupted run: weights, "
        f"optimizer states, scores, metrics and grids ({compared} parts compared). `uv run python "
        f"benchmarks/crash_resume.py` on {platform.machine()}, torch {torch.__version__}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Runs the benchmark; returns 1 if the two runs differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "crash_resume.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    importlib.import_module("ganforge.commands.train")
    with tempfile.TemporaryDirectory() as folder:
        uninterrupted, interrupted = Path(folder, "uninterrupted"), Path(folder, "interrupted")
        uninterrupted.mkdir()
        interrupted.mkdir()
        overrides = [*COMMAND, f"trainer.max_steps={arguments.steps}"]
        assert Training(overrides, uninterrupted).wait() == 0
        run = run_of(uninterrupted)
        assert run is not None
        expected = result(run)
        kill_list, found = survive(arguments.kills, arguments.steps, arguments.seed, interrupted)
    same = found == expected
    text = table(kill_list, arguments.steps, same, len(expected))
    print(text)
    arguments.out.write_text(text)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
