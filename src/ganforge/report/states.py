"""The status of a run, and its badge on a page."""

from __future__ import annotations

from ganforge.report.markup import Markup, element

MEANING = {
    "completed": "all steps are done",
    "running": "a process is training in the folder",
    "interrupted": "told to stop; it can be resumed",
    "failed": "ended by an error",
    "killed": "ended without a word; it can be resumed from its last checkpoint",
    "pruned": "given up by its search",
    "pending": "not begun",
    "skipped": "not run",
    "unreadable": "the folder's configuration is damaged",
    "unknown": "the folder has no summary that can be read",
}


def badge(state: str) -> Markup:
    """Returns a coloured badge for a status, with its meaning as a tooltip."""
    known = state if state in MEANING else "unknown"
    told = {"class": f"status {known}", "title": MEANING[known]}
    return element("span", told, state)
