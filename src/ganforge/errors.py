from __future__ import annotations

import signal


class GanforgeError(Exception):
    """A fault the user can mend. The command line prints its message alone, without a traceback.

    Attributes:
        exit_code: what the process ends with.
    """

    exit_code = 1


class ConfigError(GanforgeError):
    """A wrong key, type, value or combination: refused before anything is built."""

    exit_code = 2


class DataError(GanforgeError):
    """Images that are missing, unreadable or unfit for what was asked."""


class RunError(GanforgeError):
    """A run folder or checkpoint that is missing, damaged or belongs to another configuration."""


class DamagedError(RunError):
    """A file of a run or cache that is not as it was written."""


class DivergenceError(GanforgeError):
    """A loss that is no longer finite."""


class ScoreError(GanforgeError):
    """A score that cannot be computed from what was seen in the images.

    Attributes:
        everywhere: whether all processes of a run raise it together.
    """

    everywhere = False


class PrunedError(GanforgeError):
    """A trial of a search that is given up before its end."""


class InterruptionError(GanforgeError):
    """The run was told to stop; its checkpoint is written.

    The process ends with 128 plus the signal's number, as shells report a signal: 130 after Ctrl-C,
    143 after SIGTERM, 129 after SIGHUP (a closed terminal), 138 after SIGUSR1 (on Linux), by which
    SLURM says that the time is up.

    Args:
        message: what the user is told.
        number: the signal.
    """

    exit_code = 130

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + number

    def __reduce__(self) -> tuple[type[InterruptionError], tuple[str, int]]:
        """Keeps the signal in a copy, such as one that another process sends."""
        return type(self), (str(self), self.exit_code - 128)


class FollowedError(GanforgeError):
    """A further process of a run ends as the first one does, which has said why.

    Args:
        exit_code: what the first process ends with.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type[FollowedError], tuple[int]]:
        """Keeps the code in a copy, such as one that another process sends."""
        return type(self), (self.exit_code,)
