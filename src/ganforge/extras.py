"""Install commands of optional dependencies, for error messages."""

from __future__ import annotations


def install(extra: str) -> str:
    """Returns the commands that install an extra: in a clone of the project, and with pip."""
    return f"uv sync --extra {extra}, or pip install 'ganforge[{extra}]'"
