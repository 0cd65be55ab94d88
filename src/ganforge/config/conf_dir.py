from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """Returns the folder conf/: inside the package in a wheel, in the root of a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"
