"""Counts the steps of a training on null GPUs, in each of its processes."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from tests.nullcuda.counters import Trace, counts, peak_bytes, totals

TRACE = Trace()
COLLECTIVES = ("all_reduce", "all_gather", "all_gather_into_tensor", "broadcast", "barrier")


def install(model: type[Any]) -> None:
    """Counts the steps of a model, from NULLCUDA_STEPS, such as 16:32 for the 17th to the 32nd.

    Args:
        model: the class of the engine, whose ``iteration`` is the number of finished steps.
    """
    first, last = map(int, os.environ["NULLCUDA_STEPS"].split(":"))
    counting, end = Counting(first, last), model.on_train_batch_end

    @functools.wraps(end)
    def on_train_batch_end(self: Any, *arguments: Any) -> None:
        end(self, *arguments)
        counting.step_ended(self.iteration)

    model.on_train_batch_end = on_train_batch_end
    for name in COLLECTIVES:
        _trace(name)


def _trace(name: str) -> None:
    """Traces the callers of a collective."""
    collective = getattr(torch.distributed, name)

    @functools.wraps(collective)
    def traced(*arguments: Any, **named: Any) -> Any:
        TRACE.add(name)
        return collective(*arguments, **named)

    setattr(torch.distributed, name, traced)


class Counting:
    """Counts from the end of one step to the end of another, and reports counts per step.

    Args:
        first: finished steps at the start.
        last: finished steps at the end.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self._counts: Counter[str] | None = None
        self._seconds = 0.0

    def step_ended(self, steps: int) -> None:
        """Takes note of the number of finished steps."""
        if steps == self.first:
            torch.cuda.synchronize()
            self._counts, self._seconds = counts(), time.process_time()
            TRACE.start()
        elif steps == self.last and self._counts is not None:
            TRACE.stop()
            seconds, counted = time.process_time() - self._seconds, counts()
            counted.subtract(self._counts)
            self._counts = None
            self._report(counted, seconds)

    def _report(self, counted: Counter[str], seconds: float) -> None:
        steps = self.last - self.first

        def per_step(values: dict[str, int]) -> dict[str, float]:
            return {name: round(value / steps, 2) for name, value in values.items()}

        places = [
            {"what": what, "at": at, "stack": stack, "per_step": round(count / steps, 2)}
            for (what, at, stack), count in TRACE.places.most_common()
        ]
        row = per_step(totals(counted)) | {
            "rank": int(os.environ.get("RANK", 0)),
            "steps": [self.first, self.last],
            "peak_bytes": peak_bytes(),
            "host_ms": round(1000 * seconds / steps, 2),
            "counts": per_step(counted),
            "places": places,
            "kernels": per_step(dict(TRACE.kernels.most_common())),
        }
        path = os.environ.get("NULLCUDA_REPORT")
        if path is None:
            print(table(row), flush=True)
            return
        with Path(path).open("a") as file:
            file.write(json.dumps(row) + "\n")


def table(row: dict[str, Any], kernels: int = 10) -> str:
    """Returns counts per step as text.

    Args:
        row: counts of one rank.
        kernels: number of kernels to list.
    """
    first, last = row["steps"]
    lines = [f"null GPU, rank {row['rank']}: each of the steps {first + 1} to {last}"]
    for name in ("operations", "synchronizations", "collectives", "collective_bytes"):
        lines.append(f"  {row[name]:14,.2f}  {name}")
    lines.append(f"  {row['peak_bytes'] / 2**20:14,.1f}  MiB allocated at the peak")
    lines.append(f"  {row['host_ms']:14,.2f}  ms of the host's processor time")
    lines.append("counters")
    lines += [f"  {value:14,.2f}  {name}" for name, value in row["counts"].items() if value]
    lines.append("synchronizations and collectives by place")
    lines += [
        f"  {p['per_step']:14,.2f}  {p['what']} {p['at']}  [{p['stack']}]" for p in row["places"]
    ]
    lines.append("most frequent kernels")
    listed = list(row["kernels"])[:kernels]
    for name, shown in zip(listed, demangled(listed), strict=True):
        lines.append(f"  {row['kernels'][name]:14,.2f}  {shown[:140]}")
    return "\n".join(lines)


def demangled(names: list[str]) -> list[str]:
    """Returns names of C++ functions as they are written, if c++filt is installed."""
    tool = shutil.which("c++filt")
    if tool is None:
        return names
    done = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True)
    return [name.removeprefix("void ") for name in done.stdout.splitlines()]
