"""Train, sweep, measure and compare generative adversarial networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ganforge.deferred import defer_imports

if TYPE_CHECKING:
    from ganforge.commands.train import train
    from ganforge.config.compose import compose_config
    from ganforge.runs.load import load
    from ganforge.runs.run import Run

__all__ = ["Run", "compose_config", "load", "train"]

_HOME = {
    "Run": "ganforge.runs.run",
    "compose_config": "ganforge.config.compose",
    "load": "ganforge.runs.load",
    "train": "ganforge.commands.train",
}

defer_imports()  # before Lightning makes them


def __getattr__(name: str) -> Any:
    # Imported lazily, so that the command line can report a typing error without importing torch.
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ganforge' has no attribute {name!r}")
