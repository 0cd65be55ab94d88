from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class NoRun:
    """Replaces a ``wandb.Run`` or ``SummaryWriter`` after a failure.

    Accepts all calls and does nothing: every attribute and every return value is this object.
    """

    def __getattr__(self, name: str) -> Any:
        """Returns this object; dunder names are missing, so that copying and pickling work."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: object, **named: object) -> NoRun:
        """Returns this object."""
        return self

    def __iter__(self) -> Iterator[Any]:
        """Returns an empty iterator."""
        return iter(())
