"""The page of one run."""

from __future__ import annotations

import math
from typing import Any

from ganforge.compare.cells import plain
from ganforge.compare.columns import OUTCOME, Scored, scored
from ganforge.compare.directions import higher_is_better
from ganforge.report.charts.history import MOST_POINTS, History
from ganforge.report.charts.run_charts import drawn, score_charts, training_charts
from ganforge.report.configuration import configuration, shown
from ganforge.report.environment import environment
from ganforge.report.markup import Markup, element, join
from ganforge.report.page import Section, page
from ganforge.report.samples import Slides, slider
from ganforge.report.states import badge
from ganforge.report.tables import facts, grid
from ganforge.runs.past import PastRun

WAYS = {True: "higher", False: "lower", None: "neither"}


def run_page(run: PastRun, limit: int) -> str:
    """Returns the page of a run, whatever its status.

    Args:
        run: a run; missing parts are left out with a note.
        limit: size limit in bytes; pictures use what the rest of the page leaves.
    """
    history = History.read(run.path / "metrics.csv")
    summary = run.summary
    sections = [
        Section("summary", "Summary", join(_facts(run), _scores(run))),
        *_charts(summary, history),
        Section("configuration", "Configuration", configuration(run.resolved, run.choices)),
        Section("environment", "Environment", environment(run)),
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
    found = illustrated(slides)
    if (size := len(found.encode())) <= limit:
        return found
    words = size - (limit - room) - slides.size  # markup and captions of the pictures count too
    return illustrated(Slides.read(run.path, room - words))


def _ended(summary: dict[str, Any]) -> list[Markup]:
    error = summary.get("error")
    return [element("span", {"class": "error"}, f" {error}")] if error else []


def _facts(run: PastRun) -> Markup:
    summary = run.summary
    sizes = summary.get("parameters")
    told = sizes.items() if isinstance(sizes, dict) else ()
    return facts(
        [
            ("model", summary.get("model", run.choices.get("model"))),
            ("data", summary.get("data", run.choices.get("data"))),
            ("seed", run.seed),
            ("steps", _count(run, "step")),
            ("real images seen", _count(run, "images_seen")),
            ("time", _duration(run.number("seconds"))),
            ("images a second", _count(run, "images_per_second")),
            ("parameters", ", ".join(f"{player} {_grouped(n)}" for player, n in told)),
            ("tags", ", ".join(map(str, run.setting("tags") or []))),
            ("notes", run.setting("notes")),
            ("command", element("code", None, summary.get("command") or "not known")),
            ("folder", element("code", None, run.path)),
        ]
    )


def _scores(run: PastRun) -> Markup:
    metrics = {n: e for n, e in run.summary.get("metrics", {}).items() if isinstance(e, dict)}
    if not metrics:
        return element("p", {"class": "note"}, "No score was measured.")
    rows = [_score(run, name, entry) for name, entry in metrics.items()]
    names = ["score", "final", "best", "images to best", "better", "protocol"]
    title = element("h3", None, "Scores and how they were measured")
    note = "The best is chosen by the score itself, hence a little flattering."
    return join(title, grid(names, rows, "Scores"), element("p", {"class": "note"}, note))


def _score(run: PastRun, name: str, entry: dict[str, Any]) -> list[str]:
    way = higher_is_better(run, name)
    found = (
        scored(run, name, way)
        if "step" in entry
        else Scored(_final(entry), None, None, {}, run.seed)
    )
    spread = entry.get("std")
    final = plain(found.final) if math.isfinite(found.final) else "not finite"
    return [
        name,
        f"{final} ± {plain(float(spread), 2)}" if spread is not None else final,
        "-" if found.best is None else plain(found.best),
        "-" if found.images_to_best is None else f"{found.images_to_best:,}",
        WAYS[way],
        ", ".join(f"{key}={shown(value)}" for key, value in entry.items() if key not in OUTCOME),
    ]


def _final(entry: dict[str, Any]) -> float:
    value = entry.get("value")
    return float(value) if isinstance(value, (int, float)) else math.nan


def _charts(summary: dict[str, Any], history: History) -> list[Section]:
    scores = score_charts(summary, history)
    training = training_charts(history, set(summary.get("metrics", {})))
    notes = [f"Curves of more than {MOST_POINTS} points are drawn by the extremes of each stretch."]
    if history.torn:
        notes.append(f"{history.torn} rows of metrics.csv could not be read.")
    note = element("p", {"class": "note"}, " ".join(notes))
    none = element("p", {"class": "note"}, "Nothing was logged, or metrics.csv is missing.")
    found = [Section("scores", "Scores", drawn(scores))] if scores else []
    curves = join(drawn(training), note) if training else none
    return [*found, Section("training", "Training", curves)]


def _history(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [point for point in summary.get("history", []) if isinstance(point, dict)]


def _count(run: PastRun, name: str) -> str:
    value = run.number(name)
    return "" if value is None else f"{value:,.0f}"


def _grouped(count: Any) -> str:
    return f"{count:,}" if isinstance(count, int) else str(count)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    return f"{minutes} min" if hours < 2 else f"{hours} h {minutes % 60} min"
