"""The page of a sweep: scores and settings of its jobs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ganforge.compare.cells import plain
from ganforge.compare.columns import Column
from ganforge.compare.figure import curve
from ganforge.compare.report import Comparison
from ganforge.report.charts.chart import COLORS, Chart, Series
from ganforge.report.charts.history import drawn
from ganforge.report.charts.parallel import MAX_AXES, MAX_LINES, Line, legend, parallel
from ganforge.report.jobs import Sweep, SweptJob
from ganforge.report.markup import Markup, Section, element, join, note, page
from ganforge.report.samples import MAX_SIDE, last_grid, step_of
from ganforge.report.tables import Ranking, badge, configuration, facts, grid, sortable
from ganforge.runs.lock import is_locked
from ganforge.runs.past import PastRun

MAX_GRIDS = 12  # jobs whose last grid is embedded
GALLERY_BYTES = 500  # bytes reserved for the markup around these grids


def sweep_page(
    folder: Path, sweep: Sweep, comparison: Comparison, ranking: Ranking | None, limit: int
) -> str:
    """Returns the page of a sweep, whatever the status of its jobs.

    Args:
        folder: folder that contains all jobs.
        sweep: the jobs.
        comparison: comparison of the completed jobs.
        ranking: ranking of all jobs with a score; None if there are none.
        limit: size limit in bytes; pictures use what the rest of the page leaves.
    """
    sections = [
        Section("summary", "Summary", _facts(folder, sweep, ranking)),
        Section("comparison", "Comparison", join(*map(sortable, comparison.summary()))),
        *_curves(comparison),
        *_coordinates(sweep.jobs, ranking),
        Section("jobs", "Jobs", _jobs(sweep.jobs, ranking)),
        *_shared(sweep.runs),
        Section("environment", "Environment", _environment(sweep.runs)),
    ]
    title = f"{len(sweep.jobs)} runs of {folder.parent.name}/{folder.name}"
    footer = f"Made by ganforge report of {folder}."
    lead = element("p", None, *_counts(sweep.jobs))
    room = limit - len(page(title, lead, sections, footer).encode())
    sections[2:2] = _samples(sweep.jobs, ranking, room)
    return page(title, lead, sections, footer)


def _counts(jobs: list[SweptJob]) -> list[Markup]:
    counts = Counter(job.status for job in jobs)
    return [join(badge(status), f" {count}  ") for status, count in counts.items()]


def _facts(folder: Path, sweep: Sweep, ranking: Ranking | None) -> Markup:
    record = sweep.record
    pairs: list[tuple[str, object]] = [("folder", element("code", None, folder))]
    if record is not None:
        killed = record.status == "running" and not is_locked(record.path)
        pairs += [("kind", record.kind), ("status", "killed" if killed else record.status)]
        pairs.append(("started", record.started))
        pairs.append(("command", element("code", None, record.command)))
    if ranking is not None and (ordered := ranking.ordered(sweep.jobs)):
        best = ordered[0]
        better = "higher" if ranking.higher else "lower"
        pairs.append(("ranked by", f"best {ranking.name} of each job ({better} is better)"))
        pairs.append(("best job", f"{best.label}: {plain(ranking.values[_path(best)])}"))
        protocol = ", ".join(f"{key}={value}" for key, value in ranking.protocol.items())
        pairs.append(("protocol", protocol))
        if ranking.others:
            pairs.append(("not ranked", f"{ranking.others} jobs measured by another protocol"))
    return facts(pairs)


def _curves(comparison: Comparison) -> list[Section]:
    charts = []
    for column in comparison.columns:
        series = _series(comparison, column)
        if any(one.points for one in series):
            notes = ["Mean over the seeds; the band is one standard deviation either way."]
            if len(comparison.groups) > COLORS:
                notes.append(f"The first {COLORS} of {len(comparison.groups)} groups.")
            charts.append(Chart(column.title, series, y=column.name, notes=notes))
    return [Section("curves", "Curves", drawn(charts))] if charts else []


def _series(comparison: Comparison, column: Column) -> list[Series]:
    series = []
    for index, group in enumerate(comparison.ordered()[:COLORS]):
        points = curve(column, group)
        if points:  # the color is the group's index, so that it is the same in all charts
            means = [(float(point.images), point.mean) for point in points]
            label = f"{group.label} ({len(column.of(group))} seeds)"
            series.append(Series(label, means, [point.std for point in points], index))
    return series


def _coordinates(jobs: list[SweptJob], ranking: Ranking | None) -> list[Section]:
    if ranking is None or not any(job.settings for job in jobs):
        return []
    scored = ranking.ordered(jobs)[::-1]
    scoreless = [job for job in jobs if ranking.of(job) is None and job.settings]
    lines = [
        Line(f"{job.label} ({job.status})", job.settings, ranking.of(job))
        for job in [*scoreless, *scored]
        if job.settings
    ]
    picture = parallel(lines, f"best {ranking.name}", ranking.higher)
    keys = len({key for line in lines for key in line.settings})
    notes = []
    if keys > MAX_AXES:
        notes.append(f"The first {MAX_AXES} of {keys} settings that differ.")
    if len(lines) > MAX_LINES:
        notes.append(f"The best {MAX_LINES} of {len(lines)} jobs.")
    body = join(legend(), picture, *map(note, notes))
    return [Section("settings", "Settings and scores", body)]


def _samples(jobs: list[SweptJob], ranking: Ranking | None, room: int) -> list[Section]:
    """Returns a section with the last grids of the best jobs, as many as fit into ``room``."""
    ordered = ranking.ordered(jobs) if ranking else [job for job in jobs if job.run is not None]
    figures: list[Markup] = []
    room -= GALLERY_BYTES
    for job in ordered[:MAX_GRIDS]:
        figure = _grid(job, ranking)
        if figure is None:
            continue
        room -= len(figure.encode())
        if room < 0:
            break
        figures.append(figure)
    if not figures:
        return []
    which = "best jobs" if ranking else "first jobs"
    text = f"The last grid of the {len(figures)} {which}; `ganforge report run=` shows all of one."
    body = join(note(text), element("div", {"class": "gallery"}, *figures))
    return [Section("samples", "Samples", body)]


def _grid(job: SweptJob, ranking: Ranking | None) -> Markup | None:
    picture = last_grid(job.run.path, MAX_SIDE // 2) if job.run is not None else None
    if picture is None:
        return None
    step = f"step {step_of(picture.source):,}"
    value = ranking.of(job) if ranking else None
    reached = f"; best {ranking.name} {plain(value)}" if ranking and value is not None else ""
    image = picture.image(f"Grid of generated images of {job.label} at {step}")
    caption = element("figcaption", None, f"{job.label}, {step}{reached}")
    return element("figure", {"class": "frames"}, image, caption)


def _jobs(jobs: list[SweptJob], ranking: Ranking | None) -> Markup:
    keys = list(dict.fromkeys(key for job in jobs for key in job.settings))
    best = [f"best {ranking.name}"] if ranking else []
    names = ["job", *keys, "status", *best, "step", "images seen", "seconds", "error", "folder"]
    rows = [_row(job, keys, ranking) for job in jobs]
    return grid(names, rows, "All jobs")


def _row(job: SweptJob, keys: list[str], ranking: Ranking | None) -> list[object]:
    summary = job.run.summary if job.run is not None else {}
    value = ranking.of(job) if ranking else None
    best = [] if ranking is None else ["-" if value is None else plain(value)]
    numbers = [summary.get(name) for name in ("step", "images_seen", "seconds")]
    return [
        job.number,
        *(job.settings.get(key, "-") for key in keys),
        badge(job.status),
        *best,
        *(f"{n:,.0f}" if isinstance(n, (int, float)) else "-" for n in numbers),
        element("span", {"class": "error"}, job.error) if job.error else "-",
        job.name,
    ]


def _shared(runs: list[PastRun]) -> list[Section]:
    """Returns a section with the settings that all runs share."""
    if not runs:
        return []
    texts = [{k: json.dumps(v, default=str) for k, v in run.settings.items()} for run in runs]
    shared = {
        key: value
        for key, value in runs[0].settings.items()
        if all(text.get(key) == texts[0][key] for text in texts)
    }
    choices = {
        key: value
        for key, value in runs[0].choices.items()
        if all(run.choices.get(key) == value for run in runs)
    }
    body = join(note("Settings that all jobs share."), configuration(shared, choices))
    return [Section("configuration", "Configuration", body)]


def _environment(runs: list[PastRun]) -> Markup:
    counts: Counter[tuple[str, str]] = Counter()
    for run in runs:
        versions: Any = run.summary.get("versions")
        values = {"device": run.summary.get("device")}
        values |= versions if isinstance(versions, dict) else {}
        counts.update((name, str(value)) for name, value in values.items() if value is not None)
    if not counts:
        return note("No run has recorded its environment.")
    return facts(
        (name, value if count == len(runs) else f"{value} ({count} of {len(runs)} runs)")
        for (name, value), count in counts.items()
    )


def _path(job: SweptJob) -> str:
    return str(job.run.path) if job.run is not None else ""
