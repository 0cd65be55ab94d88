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


class DivergenceError(GanforgeError):
    """A loss that is no longer finite."""


class InterruptionError(GanforgeError):
    """The run was told to stop; its checkpoint is written."""

    exit_code = 130
