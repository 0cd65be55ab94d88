"""Processes that take the jobs of items, one after another, until there are none or no time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from gpu_items.journal import Facts, Item, Journal

POISONED = 3  # exit code of a process whose device no longer answers; a new one goes on


def work(
    journal: Journal,
    items: Sequence[Item],
    scale: float,
    until: float,
    is_null: bool,
    ready: Callable[[], bool],
) -> int:
    """Takes jobs of the items in turn; returns the exit code of this process.

    Args:
        journal: where results go.
        items: the items.
        scale: factor of the items' times.
        until: time at which no job begins any more.
        is_null: whether the GPU is a null GPU.
        ready: called before each job; false if the device does not answer any more.
    """
    for item in items:
        end = min(journal.begin(item) + scale * item.seconds, until)
        for job in item.jobs:
            if time.time() > end:
                break
            if journal.is_claimed(item, job):
                continue
            if not ready():
                return POISONED
            if not journal.claim(item, job):
                continue
            if is_null and job.left_out:
                journal.tell(item.name, job.name, {"left_out": job.left_out})
            else:
                journal.run(item, job)
    return 0


class Crew:
    """Several processes that share the jobs of the same items.

    A process that ends early, or hangs in a job, is replaced, and the job counts as failed. So is
    one whose device no longer answers, as after an illegal access to memory.

    Args:
        journal: where results go.
        items: items by name.
        count: number of processes.
        command: starts a process that calls :func:`work`.
        scale: factor of the items' times.
        until: time at which all processes are ended.
    """

    def __init__(
        self,
        journal: Journal,
        items: Sequence[Item],
        count: int,
        command: Sequence[str],
        scale: float,
        until: float,
    ) -> None:
        self.journal = journal
        self.items = {item.name: item for item in items}
        self.count = count
        self.command = list(command)
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
        arguments = ["--worker", ",".join(self.items), "--until", str(self.until)]
        log = self.journal.folder / f"log_{next(iter(self.items))}.txt"
        with log.open("ab") as output:
            return subprocess.Popen(
                [*self.command, *arguments],
                env=os.environ | {"OMP_NUM_THREADS": str(threads), "WANDB_MODE": "offline"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _looked_after(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes] | None:
        """Returns the process, one in its place, or None if it is not needed any more."""
        ended = process.poll() is not None  # before the results are read, which are then whole
        pending = self.journal.unfinished(process.pid)
        if not ended:
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
        if now > self.until:
            return "out of time"
        for item, _, start in pending:
            longest = self.scale * self.items[item].longest
            if now - start > longest:
                return f"not finished after {longest:.0f} s"
        return ""

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
