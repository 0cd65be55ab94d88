"""Optional parts of the installation: what a message says about one that is missing."""

from __future__ import annotations


def install(extra: str) -> str:
    """Returns both commands that install an extra: in a clone of the project, and elsewhere."""
    return f"uv sync --extra {extra}, or pip install 'ganforge[{extra}]'"
