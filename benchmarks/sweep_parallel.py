"""Jobs of a sweep one after the other on all cores, against side by side with the cores divided.

    uv run python benchmarks/sweep_parallel.py

Trains the same jobs in both ways, in turn, and writes the medians to benchmarks/sweep_parallel.md,
after every round. On a machine that other processes use, the wall time says little; images per
second of CPU time then show what threads that wait for each other cost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ganforge.compute.load import Reading
from ganforge.cores import Cores

ROOT = Path(__file__).parents[1]
PLAIN = ["trainer=cpu", "trainer.precision=32-true", "logger=csv", "metrics=[]"]
PLAIN += ["~callbacks.samples", "model=dcgan", "data=fake", "data.channels=1", "data.image_size=32"]


@dataclass
class Sweep:
    """What a sweep cost.

    Attributes:
        wall: seconds from start to end.
        cpu: CPU seconds of all its processes.
        rates: images per second of the training of each job.
        busy: cores that other processes have used meanwhile.
    """

    wall: float
    cpu: float
    rates: list[float]
    busy: float


def run(typed: list[str], threads: int, images: int) -> Sweep:
    """Runs a sweep of ``images`` images a job; ``threads`` are those of each process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "-m", *PLAIN, f"trainer.max_steps={images // 64}"]
        command += [*typed, f"log_dir={folder}"]
        first, spent = Reading.take(), resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - began
        now, last = resource.getrusage(resource.RUSAGE_CHILDREN), Reading.take()
        runs = sorted(Path(folder).glob("multirun/*/*/*/summary.json"))
        rates = [json.loads(path.read_text())["images_per_second"] for path in runs]
    cpu = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
    busy = first.others_until(last) if first is not None and last is not None else 0.0
    return Sweep(wall, cpu, rates, busy)


def measure(jobs: int, images: int, rounds: int) -> Iterator[dict[str, list[Sweep]]]:
    """Runs both ways in turn, in the opposite order every second time; yields after each round."""
    cores = Cores.find().count
    at_once = min(cores, jobs)
    seeds = f"seed={','.join(map(str, range(jobs)))}"
    ways = {
        f"one after the other, {cores} threads": ([seeds, "hydra.launcher.jobs=1"], cores),
        f"{at_once} at a time, {cores // at_once} threads each": (
            [seeds, f"hydra.launcher.jobs={at_once}"],
            cores // at_once,
        ),
    }
    found: dict[str, list[Sweep]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(run(*ways[name], images))
            print(name, found[name][-1], flush=True)
        yield found


def table(found: dict[str, list[Sweep]], jobs: int, images: int) -> str:
    """Returns the medians as a Markdown table."""
    columns = ["jobs", "wall time", "CPU time", "images/s of a job", "images per s of CPU time"]
    columns += ["cores used by others"]
    lines = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    for name, sweeps in found.items():
        wall, cpu = (statistics.median(getattr(s, key) for s in sweeps) for key in ("wall", "cpu"))
        rate = statistics.median(rate for sweep in sweeps for rate in sweep.rates)
        busy = statistics.median(sweep.busy for sweep in sweeps)
        cells = [name, f"{wall:.0f} s", f"{cpu:.0f} s", f"{rate:,.0f}"]
        lines.append(f"| {' | '.join([*cells, f'{jobs * images / cpu:,.0f}', f'{busy:.1f}'])} |")
    return "\n".join(lines)


def ratios(found: dict[str, list[Sweep]]) -> str:
    """Returns how much longer one after the other takes than side by side."""
    after, beside = found.values()
    pairs = list(zip(after, beside, strict=True))
    wall = statistics.median(one.wall / other.wall for one, other in pairs)
    cpu = statistics.median(one.cpu / other.cpu for one, other in pairs)
    return (
        f"One after the other takes {wall:.2f} times the wall time and {cpu:.2f} times the CPU "
        "time of side by side (medians of pairs that ran in succession)."
    )


def write(found: dict[str, list[Sweep]], jobs: int, images: int) -> None:
    """Prints the page and writes it."""
    rounds = len(next(iter(found.values())))
    command = f"python benchmarks/sweep_parallel.py --jobs {jobs} --images {images}"
    text = [
        "# Jobs of a sweep side by side",
        f"`{command} --rounds {rounds}` on {platform.machine()}, {Cores.find().count} cores, "
        f"torch {torch.__version__}: {jobs} jobs of `model=dcgan data=fake` at 32 px, batch 64, "
        f"{images:,} images each. Times include the start of every process.",
        table(found, jobs, images),
        ratios(found),
        "The more cores others use, the more threads of one job wait for each other.",
    ]
    print("\n\n".join(text))
    (ROOT / "benchmarks" / "sweep_parallel.md").write_text("\n\n".join(text) + "\n")


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--images", type=int, default=64_000, help="images of each job")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for found in measure(given.jobs, given.images, given.rounds):
        write(found, given.jobs, given.images)


if __name__ == "__main__":
    main()
