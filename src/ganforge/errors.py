"""Errors that users can fix, and explanations of errors of torch and the system."""

from __future__ import annotations

import re
import signal

from ganforge.plain_text import one_line


class GanforgeError(Exception):
    """An error the user can fix. The command line prints its message without a traceback.

    Attributes:
        exit_code: exit code of the process.
    """

    exit_code = 1


class ConfigError(GanforgeError):
    """A wrong key, type, value or combination. Raised before anything is built."""

    exit_code = 2


def require(condition: bool, message: str) -> None:
    """Raises ConfigError with ``message`` unless ``condition`` holds."""
    if not condition:
        raise ConfigError(message)


class DataError(GanforgeError):
    """Images that are missing, unreadable or unsuitable for the requested operation."""


class RunError(GanforgeError):
    """A run folder or checkpoint that is missing, damaged or belongs to another configuration."""


class DamagedError(RunError):
    """A file of a run or cache whose contents are corrupt."""


class MemoryLimitError(GanforgeError):
    """The memory of the computer or of its GPU ran out."""


class DivergenceError(GanforgeError):
    """A loss that is no longer finite."""


class ScoreError(GanforgeError):
    """A score that cannot be computed from the features of the images.

    Attributes:
        everywhere: whether all processes of a run raise it together.
    """

    everywhere = False


class PrunedError(GanforgeError):
    """A trial of a search that is stopped early."""


class InterruptionError(GanforgeError):
    """The run was stopped by a signal; its checkpoint has been written.

    The process exits with 128 plus the signal's number, as shells do: 130 after Ctrl-C, 143 after
    SIGTERM, 129 after SIGHUP (a closed terminal), 138 after SIGUSR1 (on Linux), which SLURM sends
    when the time limit is near.

    Args:
        message: message for the user.
        number: number of the signal.
    """

    exit_code = 130

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + number

    def __reduce__(self) -> tuple[type[InterruptionError], tuple[str, int]]:
        """Keeps the signal when the error is pickled, for example to be sent to another process."""
        return type(self), (str(self), self.exit_code - 128)


class FollowedError(GanforgeError):
    """A worker exits because rank 0 has ended; rank 0 has already reported the reason.

    Args:
        exit_code: exit code of rank 0.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type[FollowedError], tuple[int]]:
        """Keeps the exit code when the error is pickled, to be sent to another process."""
        return type(self), (self.exit_code,)


def described(error: object) -> str:
    """Returns an error's message, with its type unless it is a ganforge error."""
    kind = "" if isinstance(error, GanforgeError) else f"{type(error).__name__}: "
    return f"{kind}{error}"


def first_line(error: object) -> str:
    """Returns the first line of :func:`described`."""
    return described(error).splitlines()[0]


def install(extra: str) -> str:
    """Returns the commands that install an extra: in a clone of the project, and with pip."""
    return f"uv sync --extra {extra}, or pip install 'ganforge[{extra}]'"


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
    if is_out_of_memory(error):
        return (
            f"out of memory ({_first(text) or type(error).__name__}). Train with "
            "model.accumulate=2, which splits the batch, or with a smaller data.batch_size; "
            "evaluate with a smaller batch_size"
        )
    if isinstance(error, RuntimeError) and any(sign in lower for sign in _PEERS):
        return (
            f"another process of this run ended or cannot be reached ({_first(text)}). Its own "
            "message is above, or in the output of its machine; resume=RUN continues"
        )
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out in this process, on the CPU or on a GPU."""
    lower = str(error).lower()
    if isinstance(error, GanforgeError) or _CAUGHT.search(str(error)):
        return False
    return isinstance(error, MemoryError) or any(sign in lower for sign in _MEMORY)


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
