"""Explanations of common errors of torch and the system. Imports nothing heavy."""

from __future__ import annotations

import re

from ganforge.plain_text import one_line

_WORKER = re.compile(
    r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\) (?:is killed by signal: ([\w ]+)|exited)"
)
_LATE = re.compile(r"DataLoader timed out after ([\d.]+) seconds")
_CAUGHT = re.compile(r"Caught (\w+) in DataLoader worker process")
_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
_PEERS = ("connection closed by peer", "connection reset by peer", "ncclremoteerror", "gloo")


def explained(error: BaseException) -> str | None:
    """Returns what an error means and how to fix it; None if its own message is enough."""
    text = str(error)
    lower = text.lower()
    if match := _WORKER.search(text):
        return _dead_worker(match[1], match[2] or "")
    if match := _LATE.search(text):
        return (
            f"no batch arrived for {float(match[1]):g} seconds: storage does not respond, or a "
            "loader worker has no shared memory or memory left. Use fewer data.workers, or "
            "data.workers=0; the checkpoints written so far are intact"
        )
    if _CAUGHT.search(text):
        lines = [line for line in text.splitlines() if line.strip()]
        return f"a loader worker failed: {one_line(lines[-1].strip())}"
    if isinstance(error, MemoryError) or any(sign in lower for sign in _MEMORY):
        return (
            f"out of memory ({_first(text) or type(error).__name__}). Train with a smaller "
            "data.batch_size, or split the batch with model.accumulate=2; for other verbs, "
            "reduce batch_size"
        )
    if isinstance(error, RuntimeError) and any(sign in lower for sign in _PEERS):
        return (
            f"another process of this run ended or cannot be reached ({_first(text)}). Its own "
            "message is above, or in the output of its machine; resume=RUN continues"
        )
    return None


def system_error(error: BaseException) -> OSError | None:
    """Returns the OSError that caused ``error``; torch wraps a failed write in a RuntimeError."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, OSError):
        seen = seen.__cause__ or seen.__context__
    return seen


def _dead_worker(pids: str, killed_by: str) -> str:
    how = f"was killed ({killed_by})" if killed_by else "ended unexpectedly"
    cause = "/dev/shm is full" if killed_by.startswith("Bus") else "most often memory ran out"
    return (
        f"a loader worker (process {pids}) {how}: {cause}. Use fewer data.workers or a smaller "
        "data.batch_size; the checkpoints written so far are intact, and resume=RUN continues"
    )


def _first(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return one_line(lines[0].strip())[:200] if lines else ""
