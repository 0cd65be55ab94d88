"""Lazy access to wandb-workspaces, an optional dependency with few type hints."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ganforge.errors import ConfigError
from ganforge.extras import install


def workspaces() -> Any:
    """Returns the module for workspaces."""
    return _module("wandb_workspaces.workspaces")


def reports() -> Any:
    """Returns the module for reports and for the panels of reports and workspaces."""
    return _module("wandb_workspaces.reports.v2")


def require_library() -> None:
    """Raises ConfigError, naming the extra, if the library is not installed."""
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise ConfigError(
            f"ganforge dashboard needs the wandb-workspaces package: {install('dashboard')}"
        )


def _module(name: str) -> Any:
    require_library()
    return importlib.import_module(name)
