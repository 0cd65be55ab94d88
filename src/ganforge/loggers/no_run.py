from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class NoRun:
    """Stands for a ``wandb.Run`` that has ended: every attribute and result is this object."""

    def __getattr__(self, name: str) -> Any:
        """Returns itself, but for the protocols of copying and pickling."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: object, **named: object) -> NoRun:
        """Does nothing."""
        return self

    def __iter__(self) -> Iterator[Any]:
        """Yields nothing."""
        return iter(())
