"""A probe: one command on hostile or damaged input, and the conditions it must satisfy."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MEMORY_MB = 2000
ADDRESSES_GB = 10  # address space of a command, so that the machine survives the probe
CANARIES = {"precious.txt": "do not touch", "folder/notes.txt": "nor this"}
# Control characters that a terminal interprets, except tabs and line ends.
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202e\u2028]")


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: exit code; None after a timeout.
        output: stdout and stderr together.
        seconds: wall-clock time.
        memory_mb: peak resident memory.
    """

    code: int | None
    output: str
    seconds: float
    memory_mb: int


Check = Callable[[Path, Outcome], str | None]


@dataclass(frozen=True)
class Probe:
    """One command on hostile input.

    Attributes:
        family: kind of attack, a row of the table.
        name: unique within the family.
        arguments: command line after ``ganforge``; "{outside}" is the folder of canaries.
        prepare: writes the input into the empty current folder.
        codes: accepted exit codes.
        says: a pattern that the output must contain; None: no check.
        never: a pattern that it must not contain.
        check: called with the folder afterwards; returns a fault or None.
        seconds: time limit.
        environment: additional environment variables of the command.
    """

    family: str
    name: str
    arguments: list[str]
    prepare: Callable[[Path], object] = lambda folder: None
    codes: tuple[int, ...] = (1, 2)
    says: str | None = None
    never: str | None = None
    check: Check = lambda folder, outcome: None
    seconds: float = 60
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Family and name."""
        return f"{self.family}: {self.name}"


def run(probe: Probe, root: Path) -> tuple[list[str], Outcome]:
    """Runs a probe in a new folder below ``root``; returns its faults and outcome."""
    outside, folder = root / "outside", root / "work"
    for name, text in CANARIES.items():
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(text)
    folder.mkdir()
    probe.prepare(folder)
    arguments = [a.replace("{outside}", str(outside)) for a in probe.arguments]
    outcome = command(arguments, folder, probe.seconds, probe.environment)
    return [*_faults(probe, folder, outcome), *_harm(outside)], outcome


def _faults(probe: Probe, folder: Path, outcome: Outcome) -> list[str]:
    output = outcome.output
    if outcome.code is None:
        return [f"no end within {probe.seconds:.0f} s"]
    found = []
    if outcome.code not in probe.codes:
        found.append(f"exit {outcome.code}, not {' or '.join(map(str, probe.codes))}")
    if "Traceback (most recent call last)" in output:
        found.append("a traceback")
    if "GANFORGE_DEBUG" in output:
        found.append("an internal error instead of a message")
    if CONTROLS.search(output):
        found.append(f"control characters: {CONTROLS.search(output)!r}")
    if outcome.memory_mb > MEMORY_MB:
        found.append(f"{outcome.memory_mb} MB of memory")
    if outcome.code != 0 and "ganforge: " not in output:
        found.append("no message")
    if probe.says is not None and not re.search(probe.says, output, re.IGNORECASE | re.DOTALL):
        found.append(f"does not say {probe.says!r}")
    if probe.never is not None and re.search(probe.never, output):
        found.append(f"says {probe.never!r}")
    harm = probe.check(folder, outcome)
    return [*found, harm] if harm else found


def _harm(outside: Path) -> list[str]:
    names = sorted(str(p.relative_to(outside)) for p in outside.rglob("*") if p.is_file())
    if names != sorted(CANARIES):
        return [f"files outside are now {names}"]
    return [
        f"outside/{name} was changed"
        for name, text in CANARIES.items()
        if (outside / name).read_text() != text
    ]


def command(
    arguments: list[str],
    folder: Path,
    seconds: float = 60,
    environment: dict[str, str] | None = None,
) -> Outcome:
    """Runs ``ganforge ARGUMENTS`` in a forked process, which inherits the imported modules."""
    start = time.monotonic()
    log = folder.parent / f"{folder.name}.out"
    pid = os.fork()
    if pid == 0:
        os.setsid()
        _child(arguments, folder, log, environment or {})
    status, usage = _wait(pid, start + seconds)
    text = log.read_text(errors="replace") if log.is_file() else ""
    code = None if status is None else os.waitstatus_to_exitcode(status)
    return Outcome(code, text, time.monotonic() - start, usage // 1024)


def _wait(pid: int, end: float) -> tuple[int | None, int]:
    while time.monotonic() < end:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage.ru_maxrss
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    _, _, usage = os.wait4(pid, 0)
    return None, usage.ru_maxrss


def _child(
    arguments: list[str], folder: Path, log: Path, environment: dict[str, str]
) -> None:  # never returns
    code = 70
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES_GB << 30, ADDRESSES_GB << 30))
    try:
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
        os.chdir(folder)
        os.environ.update(environment)
        sys.argv = ["ganforge"]
        from hydra.core.global_hydra import GlobalHydra

        from ganforge import cli

        GlobalHydra.instance().clear()
        code = cli.run(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def copied(source: Path) -> Callable[[Path], Path]:
    """Returns a ``prepare`` function that copies the contents of a folder."""

    def prepare(folder: Path) -> Path:
        shutil.copytree(source, folder, dirs_exist_ok=True, symlinks=True)
        return folder

    return prepare
