"""Runs commands on hostile, damaged and unusual input and checks what they leave behind.

    uv run python benchmarks/attack.py
    uv run python benchmarks/attack.py --family archives

Each probe runs one command in its own folder, in a forked process with limited address space. A
probe passes if the command ends in time, with one of the expected exit codes, without a traceback,
without control characters on the terminal and within 2 GB; if files next to its folder are
unchanged; and if the probe's own check passes. Prints the table and writes attack.md.
`uv run pytest -m slow tests/test_attack.py` runs the same probes as tests.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from attacks import archives, damage, folders, sets, texts, trust, watching
from attacks.probe import Probe, run

HERE = Path(__file__).parent
FAMILIES = (archives, sets, folders, damage, trust, texts, watching)


def probes() -> Iterator[Probe]:
    """Yields the probes of all families."""
    for family in FAMILIES:
        yield from family.probes()


def warm() -> None:
    """Imports what every probe needs once, before the processes are forked."""
    for verb in ("train", "evaluate", "sample", "translate"):
        importlib.import_module(f"ganforge.commands.{verb}")
    torch.set_num_threads(1)


def table(tried: Counter[str], wrong: Counter[str]) -> str:
    """Returns the table in Markdown."""
    lines = ["| family | probes | passed |", "| --- | ---: | ---: |"]
    lines += [f"| {family} | {n} | {n - wrong[family]} |" for family, n in tried.items()]
    total, failed = tried.total(), wrong.total()
    return "\n".join([*lines, f"| all | {total} | {total - failed} |"])


def main() -> int:
    """Runs the probes; returns 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", default="", help="only families whose name contains this")
    wanted = parser.parse_args().family
    warm()
    tried: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for probe in probes():
        if wanted not in probe.family:
            continue
        if tried and probe.family not in tried and not wanted:
            write(tried, wrong)  # an interrupted run keeps the completed families
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root:
            faults, outcome = run(probe, Path(root))
        tried[probe.family] += 1
        if faults:
            wrong[probe.family] += 1
            print(f"{probe.title}: {'; '.join(faults)} ({outcome.seconds:.1f} s)", flush=True)
    print(table(tried, wrong))
    if not wanted:
        write(tried, wrong)
    return 1 if wrong else 0


def write(tried: Counter[str], wrong: Counter[str]) -> None:
    """Writes attack.md."""
    about = (__doc__ or "").split("\n\n")[2].replace("\n", " ")
    where = f"Python {platform.python_version()}, torch {torch.__version__}, CPU."
    text = "\n\n".join(["# Attack", about, table(tried, wrong), where])
    (HERE / "attack.md").write_text(f"{text}\n")


if __name__ == "__main__":
    raise SystemExit(main())
