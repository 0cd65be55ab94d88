"""One training that is killed again and again, and resumes by itself: what is left in the end.

    uv run python benchmarks/crash_resume.py
    uv run python benchmarks/crash_resume.py --kills 50 --seed 7

The same command, `train ... resume=auto`, is typed until the run is complete. Each time but the
last its process is killed (SIGKILL) at a random moment: somewhere while it trains, or, every other
time, somewhere in the writing of a checkpoint, which is when its half-written file is seen. A
checkpoint is saved at every few steps, and scores and sample grids are made on the way. After each
kill every file of the run is read: checkpoints whole and without code, JSON, YAML, CSV, PNG. In the
end all weights, optimizer states, scores and grids are compared, bit by bit, with a run of the same
seed that was left alone. Prints the table and writes crash_resume.md.
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
    "~callbacks.progress",
]
LONGEST = 0.3  # seconds of training, after a checkpoint, before a kill
CLOCKS = {"seconds", "seconds_evaluating", "images_per_second"}


@dataclass
class Kill:
    """One kill.

    Attributes:
        where: "training", or "writing" a checkpoint.
        step: of the checkpoint that the run could go on from.
        half_written: bytes of a checkpoint that the killed process had begun; 0 for none.
        files: how many files of the run were read afterwards.
    """

    where: str
    step: int
    half_written: int
    files: int


class Training:
    """The command in a process of its own, forked from this one, which has imported it all.

    Args:
        overrides: what is typed after `ganforge train`.
        log_dir: where its outputs go.
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
        """Returns how the process ended, and None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self) -> int:
        """Returns how the process ended: its exit code, or minus the signal that killed it."""
        while self.poll() is None:
            time.sleep(0.01)
        assert self.code is not None
        return self.code


def run_of(log_dir: Path) -> Path | None:
    """Returns the run's folder, once there is one; there must never be a second."""
    found = sorted(path.parent for path in log_dir.glob("train/20*/*/composed.yaml"))
    assert len(found) <= 1, f"more than one run: {found}"
    return found[0] if found else None


def killed(process: Training, log_dir: Path, where: str, dice: random.Random) -> int:
    """Kills the process at a random moment; returns the bytes of a half-written checkpoint.

    Returns -1 where the run came to its end before.
    """
    first, nth = _checkpoint_time(log_dir), 0
    wanted, delay = dice.randint(1, 4), dice.uniform(0.0, LONGEST)
    while process.poll() is None:
        halves = list(log_dir.glob("train/20*/*/checkpoints/*.tmp.*"))
        now = _checkpoint_time(log_dir)
        nth, first = (nth + 1, now) if now != first else (nth, first)
        if where == "writing" and nth >= wanted and halves:
            time.sleep(dice.uniform(0.0, 0.003))
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
    """Reads every file of a run that is not marked as half-written; returns how many there are."""
    readers = {".ckpt": load, ".json": _json, ".yaml": _yaml, ".csv": rows, ".png": _picture}
    paths = [p for p in run.rglob("*") if p.is_file() and ".tmp." not in p.name]
    paths = [path for path in paths if path.name != ".lock"]
    for path in paths:
        reader = readers.get(path.suffix, Path.read_bytes)
        reader(path)
    return len(paths)


def load(path: Path) -> dict[str, Any]:
    """Reads a checkpoint, plain data alone."""
    checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
    return checkpoint


def rows(path: Path) -> list[dict[str, str]]:
    """Reads a CSV file; a row that a kill tore is one of those that a resumed run writes anew."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _json(path: Path) -> None:
    json.loads(path.read_text())


def _yaml(path: Path) -> None:
    yaml.safe_load(path.read_text())


def _picture(path: Path) -> None:
    Image.open(path).load()


def plain(value: Any) -> Any:
    """Returns nested values without clocks, tensors as digests of their bytes."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items() if key not in CLOCKS}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, torch.Tensor):
        data = value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return f"{tuple(value.shape)} {value.dtype} {hashlib.sha256(data).hexdigest()}"
    return value


def result(run: Path) -> dict[str, Any]:
    """Returns what two runs are compared by."""
    found = {}
    for kind in ("last", "previous", "best"):
        if (run / "checkpoints" / f"{kind}.ckpt").exists():
            found[kind] = plain(load(run / "checkpoints" / f"{kind}.ckpt"))
            del found[kind]["loops"]  # Lightning's books, which count a resumed part anew
    summary = json.loads((run / "summary.json").read_text())
    found |= {key: plain(summary[key]) for key in ("status", "step", "metrics", "best", "history")}
    found["metrics.csv"] = plain(rows(run / "metrics.csv"))
    for path in sorted((run / "samples").glob("*.png")):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def survive(kills: int, steps: int, seed: int, root: Path) -> tuple[list[Kill], dict[str, Any]]:
    """Trains under fire; returns the kills, and what came out of it."""
    dice, told = random.Random(seed), []
    overrides = [*COMMAND, f"trainer.max_steps={steps}", "resume=auto"]
    while len(told) < kills:
        where = "writing" if len(told) % 2 else "training"
        process = Training(overrides, root)
        half = killed(process, root, where, dice)
        assert half >= 0, f"complete after {len(told)} kills: more steps are needed"
        run = run_of(root)
        if run is None or not (run / "checkpoints" / "last.ckpt").exists():
            continue
        files = read_all(run)
        step = int(load(run / "checkpoints" / "last.ckpt")["progress"]["iteration"])
        told.append(Kill(where, step, half, files))
        print(told[-1], flush=True)
    assert Training(overrides, root).wait() == 0, (root / "output.txt").read_text()[-3000:]
    run = run_of(root)
    assert run is not None
    read_all(run)
    strays = [path for path in run.rglob("*") if ".tmp." in path.name or path.name == ".lock"]
    assert not strays, strays
    return told, result(run)


def table(told: list[Kill], steps: int, same: bool, compared: int) -> str:
    """Returns the table in Markdown."""
    lines = ["| kill | aimed at | resumed from step | half-written, bytes | files read |"]
    lines += ["|---:|---|---:|---:|---:|"]
    for index, kill in enumerate(told, 1):
        lines.append(
            f"| {index} | {kill.where} | {kill.step} | {kill.half_written} | {kill.files} |"
        )
    caught = sum(kill.half_written > 0 for kill in told)
    outcome = "bit-equal to" if same else "DIFFERENT from"
    lines += [
        "",
        f"{len(told)} kills over one training of {steps} steps, {caught} of them with a checkpoint "
        f"half-written. The end is {outcome} the run that was left alone: weights, optimizer "
        f"states, scores, metrics and grids ({compared} parts compared). `uv run python "
        f"benchmarks/crash_resume.py` on {platform.machine()}, torch {torch.__version__}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Runs the benchmark; returns 1 where the two runs differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "crash_resume.md")
    given = parser.parse_args()
    torch.set_num_threads(1)
    importlib.import_module("ganforge.commands.train")
    with tempfile.TemporaryDirectory() as folder:
        whole, fire = Path(folder, "whole"), Path(folder, "fire")
        whole.mkdir()
        fire.mkdir()
        assert Training([*COMMAND, f"trainer.max_steps={given.steps}"], whole).wait() == 0
        run = run_of(whole)
        assert run is not None
        expected = result(run)
        told, found = survive(given.kills, given.steps, given.seed, fire)
    same = found == expected
    text = table(told, given.steps, same, len(expected))
    print(text)
    given.out.write_text(text)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
