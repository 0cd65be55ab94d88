"""The library that describes dashboards: an extra, without types of its own to speak of."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ganforge.errors import ConfigError
from ganforge.extras import install


def workspaces() -> Any:
    """Returns the module of workspaces."""
    return _module("wandb_workspaces.workspaces")


def reports() -> Any:
    """Returns the module of reports, and of the panels in both."""
    return _module("wandb_workspaces.reports.v2")


def require_library() -> None:
    """Raises ConfigError, naming the extra, where the library is not installed."""
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise ConfigError(
            f"ganforge dashboard needs the wandb-workspaces package: {install('dashboard')}"
        )


def _module(name: str) -> Any:
    require_library()
    return importlib.import_module(name)
