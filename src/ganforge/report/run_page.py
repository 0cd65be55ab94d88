"""The page of one run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ganforge.compare.cells import plain
from ganforge.compare.columns import OUTCOME, Scored, higher_is_better, scored
from ganforge.errors import RunError
from ganforge.regular_files import read_json
from ganforge.report.charts.history import MAX_POINTS, History, drawn, score_charts, training_charts
from ganforge.report.markup import Markup, Section, element, join, note, page
from ganforge.report.samples import Slides, slider
from ganforge.report.tables import as_text, badge, configuration, facts, grid
from ganforge.runs.past import PastRun

PROVENANCE = "provenance.json"
BETTER = {True: "higher", False: "lower", None: "neither"}


def run_page(run: PastRun, limit: int) -> str:
    """Returns the page of a run, whatever its status; missing parts are left out with a note.

    Its size is at most ``limit`` bytes: pictures use what the rest of the page leaves.
    """
    history = History.read(run.path / "metrics.csv")
    summary = run.summary
    sections = [
        Section("summary", "Summary", join(_facts(run), _scores(run))),
        *_charts(summary, history),
        Section("configuration", "Configuration", configuration(run.resolved, run.choices)),
        Section("environment", "Environment", _environment(run)),
    ]
    title = str(summary.get("run") or run.path.name)
    lead = element("p", None, badge(run.status), *_ended(summary))
    footer = f"Made by ganforge report of {run.path}."

    def illustrated(slides: Slides) -> str:
        samples = Section("samples", "Samples", slider(slides, history, _history(summary)))
        first, *others = sections
        return page(title, lead, [first, samples, *others], footer)

    room = limit - len(page(title, lead, sections, footer).encode())
    slides = Slides.read(run.path, room)
    text = illustrated(slides)
    if (size := len(text.encode())) <= limit:
        return text
    words = size - (limit - room) - slides.size  # markup and captions of the pictures count too
    return illustrated(Slides.read(run.path, room - words))


def _ended(summary: dict[str, Any]) -> list[Markup]:
    error = summary.get("error")
    return [element("span", {"class": "error"}, f" {error}")] if error else []


def _facts(run: PastRun) -> Markup:
    summary = run.summary
    sizes = summary.get("parameters")
    counts = [
        f"{player} {n:,}" if isinstance(n, int) else f"{player} {n}"
        for player, n in (sizes.items() if isinstance(sizes, dict) else ())
    ]
    return facts(
        [
            ("model", summary.get("model", run.choices.get("model"))),
            ("data", summary.get("data", run.choices.get("data"))),
            ("seed", run.seed),
            ("steps", _count(run, "step")),
            ("real images seen", _count(run, "images_seen")),
            ("time", _duration(run.number("seconds"))),
            ("images a second", _count(run, "images_per_second")),
            ("parameters", ", ".join(counts)),
            ("tags", ", ".join(map(str, run.setting("tags") or []))),
            ("notes", run.setting("notes")),
            ("command", element("code", None, summary.get("command") or "not known")),
            ("folder", element("code", None, run.path)),
        ]
    )


def _scores(run: PastRun) -> Markup:
    metrics = {n: e for n, e in run.summary.get("metrics", {}).items() if isinstance(e, dict)}
    if not metrics:
        return note("No score was measured.")
    rows = [_score(run, name, entry) for name, entry in metrics.items()]
    names = ["score", "final", "best", "images to best", "better", "protocol"]
    title = element("h3", None, "Scores and how they were measured")
    bias = note("The best is chosen by the score itself, so it is slightly optimistic.")
    return join(title, grid(names, rows, "Scores"), bias)


def _score(run: PastRun, name: str, entry: dict[str, Any]) -> list[str]:
    higher = higher_is_better(run, name)
    values = (
        scored(run, name, higher)
        if "step" in entry
        else Scored(_final(entry), None, None, {}, run.seed)
    )
    spread = entry.get("std")
    final = plain(values.final) if math.isfinite(values.final) else "not finite"
    return [
        name,
        f"{final} ± {plain(float(spread), 2)}" if spread is not None else final,
        "-" if values.best is None else plain(values.best),
        "-" if values.images_to_best is None else f"{values.images_to_best:,}",
        BETTER[higher],
        ", ".join(f"{key}={as_text(value)}" for key, value in entry.items() if key not in OUTCOME),
    ]


def _final(entry: dict[str, Any]) -> float:
    value = entry.get("value")
    return float(value) if isinstance(value, (int, float)) else math.nan


def _charts(summary: dict[str, Any], history: History) -> list[Section]:
    scores = score_charts(summary, history)
    training = training_charts(history, set(summary.get("metrics", {})))
    notes = [f"Curves of more than {MAX_POINTS} points are drawn by the extremes of each stretch."]
    if history.torn:
        notes.append(f"{history.torn} rows of metrics.csv could not be read.")
    none = note(
        "No losses: metrics.csv is missing, or the run ended before the first logging step."
    )
    sections = [Section("scores", "Scores", drawn(scores))] if scores else []
    curves = join(drawn(training), note(" ".join(notes))) if training else none
    return [*sections, Section("training", "Training", curves)]


def _history(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [point for point in summary.get("history", []) if isinstance(point, dict)]


def _count(run: PastRun, name: str) -> str:
    value = run.number(name)
    return "" if value is None else f"{value:,.0f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    return f"{minutes} min" if hours < 2 else f"{hours} h {minutes % 60} min"


def _environment(run: PastRun) -> Markup:
    """Returns the device and versions of a run, and a table of its processes with their code."""
    sessions = _sessions(run.path)
    last = _mapping(sessions[-1], "environment") if sessions else {}
    versions = run.summary.get("versions")
    pairs = [
        ("device", run.summary.get("device", last.get("device"))),
        *((name, last.get(name)) for name in ("platform", "processors", "gpus", "cuda", "cudnn")),
        *(versions.items() if isinstance(versions, dict) else ()),
    ]
    known = [(name, _text(value)) for name, value in pairs if value is not None]
    if not known:
        return note("The run has not recorded its environment.")
    return join(facts(known), _processes(sessions))


def _sessions(folder: Path) -> list[dict[str, Any]]:
    """Returns the provenance of each process that trained the run; [] if unknown."""
    try:
        entries = read_json(folder / PROVENANCE)
    except (FileNotFoundError, RunError):
        return []
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _processes(sessions: list[dict[str, Any]]) -> Markup | None:
    if not sessions:
        return None
    rows = []
    for session in sessions:
        code = _mapping(session, "code")
        changes = f", with the changes in {code['diff']}" if code.get("diff") else ""
        commit = f"{code['commit']}{changes}" if code.get("commit") else "no repository"
        begin = session.get("checkpoint") or "the start"
        rows.append([_text(session.get("started")), begin, _text(session.get("command")), commit])
    names = ["started", "resumed from", "command", "code"]
    table = grid(names, rows, "Processes that trained the run")
    return join(element("h3", None, "Processes"), table)


def _mapping(entry: dict[str, Any], key: str) -> dict[str, Any]:
    value = entry.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
