"""Results of a check on a GPU, written as they come, and the claims of its processes on jobs."""

from __future__ import annotations

import json
import os
import re
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Facts = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        name: unique within its item.
        measure: measures; returns what the table shows.
        left_out: why it cannot run on a null GPU; empty if it can.
    """

    name: str
    measure: Callable[[], Facts]
    left_out: str = ""


@dataclass(frozen=True)
class Item:
    """Measurements of one kind.

    Attributes:
        name: name in the table.
        jobs: the measurements, the most important first.
        seconds: time for all of them, of 540 for the whole check.
        longest: seconds after which a measurement is taken for hanging and its process ended.
    """

    name: str
    jobs: Sequence[Job]
    seconds: float
    longest: float = 60


class Journal:
    """The folder of a check: results.jsonl, and a file for each job that a process has taken.

    Args:
        folder: the folder, which is created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.claims = folder / "claims"
        self.claims.mkdir(parents=True, exist_ok=True)
        self.results = folder / "results.jsonl"

    def tell(self, item: str, name: str, facts: Facts) -> None:
        """Adds a result; a whole line at once, because several processes write."""
        line = json.dumps({"item": item, "name": name} | facts) + "\n"
        with self.results.open("a") as file:
            file.write(line)

    def rows(self) -> list[Facts]:
        """Returns all results so far."""
        if not self.results.exists():
            return []
        return [json.loads(line) for line in self.results.read_text().splitlines()]

    def begin(self, item: Item) -> float:
        """Returns the time at which the first process began an item; the caller's if it is it."""
        path = self.claims / f"{item.name}.begun"
        try:
            with path.open("x"):
                pass
        except FileExistsError:
            pass
        return path.stat().st_mtime

    def claim(self, item: Item, job: Job) -> bool:
        """Takes a job for this process; false if another one has it."""
        try:
            with self._claim_of(item.name, job.name).open("x") as file:
                json.dump({"pid": os.getpid(), "item": item.name, "name": job.name}, file)
        except FileExistsError:
            return False
        return True

    def is_claimed(self, item: Item, job: Job) -> bool:
        """Whether a process has taken a job."""
        return self._claim_of(item.name, job.name).exists()

    def unfinished(self, pid: int) -> list[tuple[str, str, float]]:
        """Returns item, name and start of each job that a process has taken and not finished."""
        done = {(row["item"], row["name"]) for row in self.rows()}
        found = []
        for path in self.claims.glob("*.json"):
            text = path.read_text()
            claim = json.loads(text) if text else {}
            if claim.get("pid") == pid and (claim["item"], claim["name"]) not in done:
                found.append((claim["item"], claim["name"], path.stat().st_mtime))
        return found

    def run(self, item: Item, job: Job) -> None:
        """Measures a job and writes the result or the error."""
        start = time.perf_counter()
        try:
            facts = job.measure()
        except (Exception, SystemExit) as fault:  # the next job is to run in any case
            facts = {
                "error": f"{type(fault).__name__}: {str(fault)[:400]}",
                "where": traceback.format_exc()[-1500:],
            }
        seconds = round(time.perf_counter() - start, 1)
        self.tell(item.name, job.name, facts | {"seconds": seconds})

    def _claim_of(self, item: str, name: str) -> Path:
        return self.claims / f"{item}.{re.sub(r'[^A-Za-z0-9.-]+', '_', name)}.json"
