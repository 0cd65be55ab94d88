"""Names of the run folders in a sweep. They need no quoting in a shell or an override.

A sweep is a folder with a sweep.json; its jobs are the run folders in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganforge.paths import conf_dir
from ganforge.plain_text import one_line

FILE = "sweep.json"
LONGEST = 60  # characters
_NUMBER = re.compile(r"-?\d*\.?\d+(e[-+]?\d+)?")
NAME_KEYS = ("project", "entity", "group", "job_type", "tags")
LONGEST_TAG = 64
LONGEST_NAME = 128  # of runs, groups, job types, projects and entities
LONGEST_ID = 64
_RESERVED = {"project": "/\\#?%:", "entity": "/\\#?%:"}
_ID = re.compile(r"[^\s:;,#?/'\\\x00-\x1f\x7f]+")


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


def name_faults(settings: Mapping[str, Any]) -> list[str]:
    """Returns one message for each setting of the W&B logger that W&B would reject.

    Args:
        settings: project, entity, group, job_type and tags; missing keys are ignored.
    """
    names = [key for key in NAME_KEYS if key != "tags"]
    faults = [fault for key in names if (fault := _name_fault(key, settings.get(key)))]
    tags = settings.get("tags")
    if isinstance(tags, Sequence) and not isinstance(tags, str):
        faults += [fault for tag in tags if (fault := _tag_fault(str(tag)))]
    return faults


def is_id(text: str) -> bool:
    """Whether ``text`` is a valid run id of W&B."""
    return len(text) <= LONGEST_ID and _ID.fullmatch(text) is not None


def trimmed(name: str | None) -> str | None:
    """Returns a generated or display-only name, shortened to the length that W&B accepts."""
    if name is None or len(name) <= LONGEST_NAME:
        return name
    return name[: LONGEST_NAME - 1] + "…"


def _name_fault(key: str, value: Any) -> str:
    if value is None or (value == "" and key != "project"):  # use the account's or wandb's default
        return ""
    text, label = str(value), f"logger.wandb.{key}"
    if not text.strip():
        return f"{label} is empty; omit it, or set a name"
    if len(text) > LONGEST_NAME:
        return f"{label} has {len(text)} characters; W&B accepts at most {LONGEST_NAME}"
    if reserved := sorted({c for c in text if c in _RESERVED.get(key, "")}):
        return (
            f"{label}={one_line(text)!r} contains {' '.join(reserved)}, which W&B does not accept"
            + ("; the team goes into logger.wandb.entity" if reserved == ["/"] else "")
        )
    return ""


def _tag_fault(tag: str) -> str:
    if not tag.strip():
        return "tags contains an empty tag; W&B accepts 1 to 64 characters each"
    if len(tag) > LONGEST_TAG:
        return (
            f"tags: {one_line(tag[:20])!r}... has {len(tag)} characters; "
            f"W&B accepts at most {LONGEST_TAG}"
        )
    return ""
