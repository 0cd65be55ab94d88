from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """Returns the folder of configuration files: in the wheel, or in a checkout's root."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"
