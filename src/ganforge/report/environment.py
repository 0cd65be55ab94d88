"""Hardware, versions and code of a run, and the processes that trained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.errors import RunError
from ganforge.regular_files import read_json
from ganforge.report.markup import Markup, element, join
from ganforge.report.tables import facts, grid
from ganforge.runs.past import PastRun

NAME = "provenance.json"


def environment(run: PastRun) -> Markup:
    """Returns the device and versions of a run, and a table of its processes with their code."""
    sessions = processes(run.path)
    last = _mapping(sessions[-1], "environment") if sessions else {}
    versions = run.summary.get("versions")
    pairs = [
        ("device", run.summary.get("device", last.get("device"))),
        *((name, last.get(name)) for name in ("platform", "processors", "gpus", "cuda", "cudnn")),
        *(versions.items() if isinstance(versions, dict) else ()),
    ]
    told = [(name, _text(value)) for name, value in pairs if value is not None]
    if not told:
        return element("p", {"class": "note"}, "The run tells nothing of its environment.")
    return join(facts(told), _processes(sessions))


def processes(folder: Path) -> list[dict[str, Any]]:
    """Returns the provenance of each process that trained the run; [] if unknown."""
    try:
        found = read_json(folder / NAME)
    except (FileNotFoundError, RunError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _processes(sessions: list[dict[str, Any]]) -> Markup | None:
    if not sessions:
        return None
    rows = []
    for session in sessions:
        code = _mapping(session, "code")
        changed = f", with what {code['diff']} in the run folder holds" if code.get("diff") else ""
        commit = f"{code['commit']}{changed}" if code.get("commit") else "no repository"
        begin = session.get("checkpoint") or "the start"
        rows.append([_text(session.get("started")), begin, _text(session.get("command")), commit])
    names = ["started", "went on from", "command", "code"]
    table = grid(names, rows, "Processes that trained the run")
    return join(element("h3", None, "Processes"), table)


def _mapping(entry: dict[str, Any], key: str) -> dict[str, Any]:
    found = entry.get(key)
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
