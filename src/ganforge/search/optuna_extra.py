"""Optuna, which a search needs and nothing else does."""

from __future__ import annotations

import importlib
import warnings

from ganforge.errors import ConfigError
from ganforge.extras import install


def require(package: str = "optuna", extra: str = "tune", reason: str = "a search") -> None:
    """Says which extra is missing, and quietens Optuna: what it would say the search says itself.

    Raises:
        ConfigError: the package is not installed.
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
    # Who runs a trial beats for it here, not in Optuna's own loop.
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used with")
