"""Compares the processor time that commands take to start with that of an earlier checkout.

    git worktree add ../earlier COMMIT
    uv run python benchmarks/startup.py --before ../earlier

Each command runs in a process of its own, alternately from both checkouts and in the same
environment. Commands work on tiny stored runs, so that almost all of the time is their start;
`train` is ended at its first line about the run. User and system time of the process are counted.
Prints the table and writes startup.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FROZEN = ROOT / "tests" / "frozen"


def typed(*words: str) -> list[str]:
    """Returns the arguments of Python for a command of ganforge."""
    return ["-c", "from ganforge.start import main; main()", *words]


FLAT = ("features=module", "features.module=torch.nn.Flatten", "features.size=8")
# Arguments of Python, and the beginning of the line at which the process is killed, "" for its end.
COMMANDS = {
    "`import torch`": (["-c", "import torch"], ""),
    "`ganforge --help`": (typed("--help"), ""),
    "`train sed=3` (a typo)": (typed("train", "sed=3"), ""),
    "`train`, to its first line": (
        typed("train", "trainer=cpu", "logger=csv", "metrics=[]"),
        "run folder:",
    ),
    "`sample`": (typed("sample", f"run={FROZEN}/gan", "n=4", "out=drawn"), ""),
    "`evaluate`": (
        typed("evaluate", f"run={FROZEN}/gan", "n=16", "metrics=[fid]", "out=scores", *FLAT),
        "",
    ),
    "`translate`": (
        typed(
            "translate",
            f"run={FROZEN}/translation",
            f"input={FROZEN}/expected/input.png",
            "out=drawn",
        ),
        "",
    ),
}


def seconds(arguments: list[str], until: str, checkout: Path) -> float:
    """Returns the processor time of a command in seconds.

    Args:
        arguments: those of Python.
        until: beginning of the line of output at which the process is killed; "" for its end.
        checkout: a checkout of the project, whose packages are imported.

    Raises:
        RuntimeError: the command failed, or did not print the line.
    """
    paths = {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=os.environ | paths | {"GANFORGE_CACHE": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        reached = not until
        for line in process.stdout:
            if until and line.startswith(until):
                reached = True
                process.kill()
                break
        process.stdout.close()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if not reached or (not until and process.returncode not in (0, 2)):
        raise RuntimeError(f"{arguments} failed: {process.returncode}")
    return used.ru_utime + used.ru_stime


def compiled(checkout: Path) -> None:
    """Writes the bytecode of a checkout, so that none is compiled while times are measured."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "compileall", "-q", str(checkout / "src")]
    subprocess.run(command, env=environment, check=True)


def main() -> None:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="an earlier checkout")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    checkouts = [options.before.resolve(), ROOT]
    for checkout in checkouts:
        compiled(checkout)
    lines = [
        f"| processor time in seconds (median of {options.rounds}) | before | now | ratio |",
        "|---|---:|---:|---:|",
    ]
    for name, (arguments, until) in COMMANDS.items():
        times: list[list[float]] = [[], []]
        for _ in range(options.rounds):
            for place, checkout in enumerate(checkouts):
                times[place].append(seconds(arguments, until, checkout))
        before, now = map(statistics.median, times)
        lines.append(f"| {name} | {before:.2f} | {now:.2f} | {now / before:.2f} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        "Both checkouts run in the same environment, which has Matplotlib; `import torch` is the",
        "same code twice and shows the noise.",
        "",
        f"`uv run python benchmarks/startup.py --before CHECKOUT` on {platform.machine()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}.",
    ]
    (HERE / "startup.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
