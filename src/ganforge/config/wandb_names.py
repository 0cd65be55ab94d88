"""Checks of names for Weights & Biases, made before a run starts. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ganforge.plain_text import one_line

NAME_KEYS = ("project", "entity", "group", "job_type", "tags")
LONGEST_TAG = 64
LONGEST_NAME = 128  # of runs, groups, job types, projects and entities
LONGEST_ID = 64
_RESERVED = {"project": "/\\#?%:", "entity": "/\\#?%:"}
_ID = re.compile(r"[^\s:;,#?/'\\\x00-\x1f\x7f]+")


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
