"""Processes that take the jobs of items, one after another, until there are none or no time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gpu_items.journal import Facts, Item, Journal

POISONED = 3  # exit code of a process whose device no longer answers; a new one goes on
SCRIPT = Path(__file__).parents[1] / "on_gpu.py"


def work(journal: Journal, items: Sequence[Item], scale: float, until: float, null: bool) -> int:
    """Takes jobs of the items in turn; returns the exit code of this process.

    Args:
        journal: where results go.
        items: the items.
        scale: factor of the items' times.
        until: time at which no job begins any more.
        null: whether the GPU is a null GPU.
    """
    for item in items:
        end = min(journal.begin(item) + scale * item.seconds, until)
        for job in item.jobs:
            if time.time() > end:
                break
            if journal.claim(item, job) and not journal.run(item, job, null):
                return POISONED
    return 0


class Crew:
    """Several processes that share the jobs of the same items.

    A process that ends early, or hangs in a job, is replaced; the job counts as failed.

    Args:
        journal: where results go.
        items: items by name.
        count: number of processes.
        arguments: further arguments of the script.
        scale: factor of the items' times.
        until: time at which all processes are ended.
    """

    def __init__(
        self,
        journal: Journal,
        items: Sequence[Item],
        count: int,
        arguments: Sequence[str],
        scale: float,
        until: float,
    ) -> None:
        self.journal = journal
        self.items = {item.name: item for item in items}
        self.count = count
        self.arguments = list(arguments)
        self.scale = scale
        self.until = until
        self._running: list[subprocess.Popen[bytes]] = []
        self._shown = len(journal.rows())

    def run(self) -> None:
        """Runs the processes to their end."""
        self._running = [self._start() for _ in range(self.count)]
        try:
            while self._running:
                time.sleep(0.2)
                self._running = [p for p in map(self._looked_after, self._running) if p]
                self.show()
        finally:
            for process in self._running:
                process.kill()
                process.wait()

    def show(self) -> None:
        """Prints the results that are new."""
        rows = self.journal.rows()
        for row in rows[self._shown :]:
            print({name: value for name, value in row.items() if name != "where"}, flush=True)
        self._shown = len(rows)

    def _start(self) -> subprocess.Popen[bytes]:
        threads = max(1, (os.cpu_count() or 1) // self.count)
        names = ",".join(self.items)
        command = [sys.executable, str(SCRIPT), *self.arguments, "--worker", names]
        log = self.journal.folder / f"log_{next(iter(self.items))}.txt"
        with log.open("ab") as output:
            return subprocess.Popen(
                [*command, "--until", str(self.until)],
                env=os.environ | {"OMP_NUM_THREADS": str(threads), "WANDB_MODE": "offline"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _looked_after(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes] | None:
        """Returns the process, one in its place, or None if it is not needed any more."""
        pending = self.journal.unfinished(process.pid)
        if process.poll() is None:
            fault = self._hangs(pending)
            if not fault:
                return process
            process.kill()
            process.wait()
        else:
            fault = f"the process ended with code {process.returncode}"
        for item, name, _ in pending:
            self.journal.tell(item, name, {"error": fault})
        clean = process.returncode == 0
        if clean or time.time() > self.until or not self._was_of_use(process.pid):
            return None
        return self._start()

    def _hangs(self, pending: list[tuple[str, str, float]]) -> str:
        """Returns why a process must be ended; empty if it may go on."""
        now = time.time()
        for item, _, start in pending:
            longest = self.scale * self.items[item].longest
            if now - start > longest:
                return f"not finished after {longest:.0f} s"
        return "out of time" if now > self.until else ""

    def _was_of_use(self, pid: int) -> bool:
        """Whether a process took a job; one that took none failed at its start."""
        claims = self.journal.claims.glob("*.json")
        return any(f'"pid": {pid},' in path.read_text() for path in claims)


def missing(journal: Journal, items: Sequence[Item]) -> list[Facts]:
    """Returns a row for each job that has no result, because there was no time left."""
    done = {(row["item"], row["name"]) for row in journal.rows()}
    return [
        {"item": item.name, "name": job.name, "left_out": "no time left"}
        for item in items
        for job in item.jobs
        if (item.name, job.name) not in done
    ]
