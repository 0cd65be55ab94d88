"""Names of the run folders in a sweep. They need no quoting in a shell or an override.

A sweep is a folder with a sweep.json; its jobs are the run folders in it.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path

from ganforge.paths import conf_dir

FILE = "sweep.json"
LONGEST = 60  # characters
_NUMBER = re.compile(r"-?\d*\.?\d+(e[-+]?\d+)?")


def job_folder(number: int, overrides: list[str]) -> str:
    """Returns the name of a job's run folder, such as ``0-dcgan-lr0.001-s1``.

    The name contains the options and values that distinguish the job, and its seed. The overrides
    themselves are in sweep.json and in the run's provenance.json.

    Args:
        number: number of the job, which makes the name unique.
        overrides: overrides that distinguish the job from the others.
    """
    pairs = [override.partition("=") for override in overrides]
    seeds = [f"s{_slug(value)}" for key, _, value in pairs if key.lstrip("+") == "seed"]
    parts = [_described(key, value) for key, _, value in pairs if key.lstrip("+") != "seed"]
    room = LONGEST - len("-".join([str(number), *seeds])) - 1
    text = "-".join(part for part in parts if part)[: max(room, 0)].rstrip("-._")
    return "-".join(part for part in (str(number), text, *seeds) if part)


def distinguishing(overrides: list[str]) -> list[str]:
    """Returns the overrides of a job that its sweep has chosen: those that were not typed."""
    return [o for o in overrides if o not in sys.argv and not o.startswith("~")]


def sweep_of(run: Path) -> Path | None:
    """Returns the folder of the sweep that a run belongs to; None for a single run."""
    return run.parent if (run.parent / FILE).is_file() else None


def _described(key: str, value: str) -> str:
    name = re.split(r"[.@/]", key.lstrip("+~"))[-1]
    if key.startswith("~"):
        return f"no-{_slug(name)}"
    if "." not in key and (conf_dir() / key.lstrip("+")).is_dir():
        return _slug(value) or f"no-{_slug(name)}"
    slug = _slug(value.strip("'\"").rstrip("/").rpartition("/")[2])
    return f"{_slug(name)}-{slug}" if slug[:1].isalpha() else f"{_slug(name)}{slug}"


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", plain)
    return plain if _NUMBER.fullmatch(plain) else re.sub("-+", "-", plain).strip("-._")
