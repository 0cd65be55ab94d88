"""Runs a command as on a machine with null GPUs, and prints what a training does per step."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.nullcuda.build import UnavailableError
from tests.nullcuda.machine import ROOT, Machine, spelled


def pair(text: str, separator: str) -> tuple[int, int]:
    """Returns two numbers, such as (16, 32) for "16:32"."""
    first, second = text.split(separator)
    return int(first), int(second)


def main() -> int:
    """Runs the command; returns its exit code, or 1 if there can be no null GPU here."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.nullcuda",
        description=__doc__,
        epilog="example: python -m tests.nullcuda ganforge train model=dcgan data=digits "
        "trainer=gpu trainer.max_steps=32",
    )
    parser.add_argument("--devices", type=int, default=1, help="number of GPUs (1)")
    parser.add_argument(
        "--steps",
        type=lambda text: pair(text, ":"),
        default=(16, 32),
        help="steps to count, from the end of the first to the end of the last (16:32)",
    )
    parser.add_argument("--source", type=Path, default=ROOT, help="checkout whose src/ is run")
    parser.add_argument(
        "--capability",
        type=lambda text: pair(text, "."),
        default=(9, 0),
        help="compute capability of the GPUs (9.0)",
    )
    parser.add_argument("--report", type=Path, help="file for counts as JSON lines, not printed")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="ganforge ..., python ... or any")
    given = parser.parse_args()
    if not given.command:
        parser.error("name the command to run")
    machine = Machine(given.devices, given.steps, given.source.resolve(), given.capability)
    command = spelled(given.command)
    try:
        environment = machine.environment(given.report and given.report.resolve())
    except UnavailableError as reason:
        print(reason, file=sys.stderr)
        return 1
    return os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    raise SystemExit(main())
