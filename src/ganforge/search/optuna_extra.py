"""Checks for Optuna and its drivers, which only a search needs."""

from __future__ import annotations

import importlib
import warnings

from ganforge.errors import ConfigError
from ganforge.extras import install


def require(package: str = "optuna", extra: str = "tune", reason: str = "a search") -> None:
    """Checks that a package is installed, and silences Optuna's own log output.

    Raises:
        ConfigError: if the package is not installed; names the extra to install.
    """
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"{reason} needs {package}, which is not installed: {install(extra)}"
        ) from error
    if package == "optuna":
        _quieten()


def _quieten() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    # Storage.beating() records heartbeats; Optuna expects them from its own optimize() loop.
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used with")
