"""Checks ganforge on one GPU, in at most ten minutes: what only a GPU can show.

    uv run python benchmarks/on_gpu.py --out FOLDER
    uv run python benchmarks/on_gpu.py --out FOLDER --only speed,byhand --seconds 180

| item | what |
|---|---|
| correct | every model in three precisions: 50 steps, finite weights, 5 more after a resume |
| resume | 20 steps in two halves and in one piece: equal bits; other precision, layout, optimizer |
| replay | 24 steps as they are written and with CUDA graphs: equal bits |
| equal | images of each model on the GPU and on the CPU, for the same weights and draws |
| speed | 11 recipes at published sizes: time per step, images/s, memory |
| byhand | a hand-written loop of the same networks: eager, as a CUDA graph, compiled |
| profile | kernels per step, share of time in which the device is busy, longest kernels |
| judge | Inception's network, Frechet distance, precision and recall |
| graphs | time per step of some recipes as they are written, and with CUDA graphs |
| variants | memory layout, fused Adam, cudnn.benchmark, TF32, deterministic algorithms |
| compiled | torch.compile of the networks: none, default, max |

Needs the repository and ordinary packages; downloads nothing. Each measurement is guarded: if one
fails, hangs or ends its process, the others still run. Results are written as they come, as lines
of FOLDER/results.jsonl, and at the end as a table: FOLDER/on_gpu.md, and benchmarks/on_gpu.md if
everything was run on a real GPU.

Without a GPU, `uv run python -m tests.nullcuda python benchmarks/on_gpu.py --out FOLDER --seconds
5400 --steps 4 --each 0.1` runs everything but the graphs of `byhand`, the compiler and the
profiler, without meaningful values and times. Batches are then not enlarged, and --steps also
bounds the steps of `resume` and of each window that is timed.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parent / "src", HERE):  # ganforge need not be installed
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import torch  # noqa: E402
from gpu_items.journal import Item, Journal  # noqa: E402
from gpu_items.page import page, verdict  # noqa: E402
from gpu_items.workers import Crew, missing, work  # noqa: E402

PLANNED = 540  # seconds that the items' times are made for
TOGETHER = (
    "correct",
    "resume",
    "replay",
)  # these wait for the host, so that processes can share the GPU
PROCESSES = 6


def items(steps: int, each: float, null: bool) -> dict[str, Item]:
    """Returns all items, in the order in which they run.

    Args:
        steps: steps of each training of `correct`.
        each: seconds of each timed training.
        null: whether the GPU is a null GPU, whose memory is that of the host.
    """
    from gpu_items import correctness, devices, loops, speed
    from gpu_items.trainings import WINDOW

    timing = speed.Timing(each, min(steps, WINDOW), larger=not null)
    short = replace(timing, seconds=each / 2)
    found = (
        Item("correct", correctness.correct(steps), 110),
        Item("resume", correctness.resumes(max(2, min(steps, 20))), 60),
        Item("replay", correctness.replays(max(8, min(steps, 24))), 15),
        Item("equal", correctness.equal(), 30),
        Item("speed", speed.speed(timing), 90),
        Item("byhand", loops.by_hand(each / 2), 45),
        Item("profile", devices.profile(), 30),
        Item("judge", devices.judge(), 20),
        Item("graphs", speed.graphs(short), 40),
        Item("variants", speed.variants(short), 55),
        Item("compiled", speed.compilations(short), 45, longest=45),
    )
    return {item.name: item for item in found}


def main() -> int:
    """Runs the items; returns 1 if there is no GPU, or if a measurement or a check failed."""
    warnings.filterwarnings("ignore")
    given = arguments()
    if not torch.cuda.is_available():
        print("no GPU found; python -m tests.nullcuda runs this without one (see --help)")
        return 1
    journal, scale = Journal(given.out), given.seconds / PLANNED
    null = "(null)" in torch.cuda.get_device_name()
    known = items(given.steps, given.each, null)
    chosen = [known[name] for name in (given.worker or given.only or ",".join(known)).split(",")]
    if given.worker:
        os.environ["GANFORGE_CACHE"] = str(given.out / "cache")
        tempfile.tempdir = str(given.out / "runs")
        return work(journal, chosen, scale, given.until, null, ready)
    if journal.rows():
        raise SystemExit(f"{journal.results} has results already: give another folder")
    (given.out / "runs").mkdir(exist_ok=True)
    journal.tell("machine", torch.cuda.get_device_name(), machine())
    run(journal, chosen, given, scale)
    return finish(journal, chosen, whole=not given.only and not null)


def run(journal: Journal, chosen: list[Item], given: argparse.Namespace, scale: float) -> None:
    """Runs items: first those that share the GPU, then those that are timed, alone."""
    until = time.time() + given.seconds
    command = [sys.executable, str(HERE / "on_gpu.py"), "--out", str(given.out)]
    for name in ("seconds", "steps", "each"):
        command += [f"--{name}", str(getattr(given, name))]
    together = [item for item in chosen if item.name in TOGETHER]
    alone = [item for item in chosen if item.name not in TOGETHER]
    several = max(1, min(PROCESSES, (os.cpu_count() or 1) // 2))
    for group, count in ((together, several), (alone, 1)):
        if group and time.time() < until:
            Crew(journal, group, count, command, scale, until).run()


def finish(journal: Journal, chosen: list[Item], whole: bool) -> int:
    """Writes the page; returns 1 if something failed."""
    for row in missing(journal, chosen):
        journal.tell(row.pop("item"), row.pop("name"), row)
    rows = journal.rows()
    command = "python benchmarks/" + " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    text = page(rows, command)
    (journal.folder / "on_gpu.md").write_text(text)
    shutil.rmtree(journal.folder / "runs", ignore_errors=True)  # of processes that were killed
    shutil.rmtree(journal.folder / "cache", ignore_errors=True)
    if whole:
        (HERE / "on_gpu.md").write_text(text)
    print(f"{verdict(rows)}\n\n{journal.folder / 'on_gpu.md'}")
    return int(any("error" in row or row.get("passed") is False for row in rows))


def ready() -> bool:
    """Frees the memory of the last job; returns whether the device still answers."""
    gc.collect()
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    except RuntimeError:
        return False
    return True


def machine() -> dict[str, object]:
    """Returns the hardware and the versions that a table depends on."""
    import lightning

    properties = torch.cuda.get_device_properties(0)
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    commit = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return {
        "memory_gib": round(properties.total_memory / 2**30),
        "capability": f"{properties.major}.{properties.minor}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "lightning": lightning.__version__,
        "commit": commit or "unknown",
    }


def arguments() -> argparse.Namespace:
    """Returns the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--seconds", type=float, default=PLANNED, help="for everything (540)")
    parser.add_argument("--only", default="", help="items to run, separated by commas")
    parser.add_argument("--steps", type=int, default=50, help="steps of `correct` (50)")
    parser.add_argument("--each", type=float, default=5, help="seconds of a timed training (5)")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out = given.out.resolve()
    return given


if __name__ == "__main__":
    raise SystemExit(main())
