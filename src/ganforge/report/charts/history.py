"""The values that a run has logged: metrics.csv as curves over images seen, and their charts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganforge.logged_rows import LoggedRows
from ganforge.report.charts.chart import COLORS, Chart, Series, figure
from ganforge.report.markup import Markup, element

AXES = ("step", "images_seen", "seconds")
Points = list[tuple[float, float]]
MAX_POINTS = 300  # maximum points of a curve; dropped ones lie between the extremes kept nearby
# Charts shown first; the others follow in the order in which they were logged.
FIRST = ("loss", "logit", "accuracy", "gradient_norm")
DIRECTIONS = {"True": "higher is better", "False": "lower is better"}
SIDES = ("real_", "fake_")


@dataclass(frozen=True)
class Curve:
    """The values logged under one name.

    Attributes:
        name: name such as ``generator/loss``.
        points: pairs of images seen and finite value, sorted.
        lost: number of non-finite values, which are left out.
    """

    name: str
    points: Points = field(default_factory=list)
    lost: int = 0


@dataclass(frozen=True)
class History:
    """The values that a run has logged.

    Attributes:
        curves: curves by name, in the order of the columns.
        images: images seen by step.
        torn: number of unreadable rows.
    """

    curves: dict[str, Curve] = field(default_factory=dict)
    images: dict[int, int] = field(default_factory=dict)
    torn: int = 0

    @classmethod
    def read(cls, path: Path) -> History:
        """Reads a metrics.csv; a missing or unreadable file gives an empty history.

        Unreadable rows, such as one cut off by a kill, are counted and skipped.
        """
        try:
            logged = LoggedRows.read(path)
        except OSError:
            return cls()
        whole = [row for row in logged.rows if row["images_seen"]]
        names = [name for name in (whole[0] if whole else {}) if name not in AXES]
        images = {int(row["step"]): int(row["images_seen"]) for row in whole}
        return cls(
            {name: _curve(name, whole) for name in names},
            images,
            logged.torn + len(logged.rows) - len(whole),
        )


def thinned(points: Points, most: int = MAX_POINTS) -> Points:
    """Returns at most ``most`` points of a curve: both ends, and the extremes of equal intervals.

    Extremes keep spikes of a single step visible, which averaging would hide. Points must be sorted
    by x, and ``most`` at least 4.
    """
    if len(points) <= most:
        return points
    stretches = most // 2 - 1
    inner = points[1:-1]
    kept = []
    for i in range(stretches):
        start, end = (len(inner) * k // stretches for k in (i, i + 1))
        stretch = inner[start:end]
        low = min(range(len(stretch)), key=lambda i: stretch[i][1])
        high = max(range(len(stretch)), key=lambda i: stretch[i][1])
        kept += [stretch[j] for j in sorted({low, high})]
    return [points[0], *kept, points[-1]]


def _curve(name: str, rows: list[dict[str, str]]) -> Curve:
    cells = [(int(row["images_seen"]), _number(row.get(name))) for row in rows]
    logged = [(images, value) for images, value in cells if value is not None]
    points = sorted((float(images), v) for images, v in logged if math.isfinite(v))
    return Curve(name, points, len(logged) - len(points))


def _number(cell: str | None) -> float | None:
    try:
        return float(cell) if cell else None
    except ValueError:  # custom callbacks may log text
        return None


def score_charts(summary: dict[str, Any], history: History) -> list[Chart]:
    """Returns one chart per score that was measured at least once.

    Args:
        summary: summary of the run, whose history contains every evaluation.
        history: logged values, which contain the standard deviations of scores that have one.
    """
    charts = []
    for name, entry in summary.get("metrics", {}).items():
        curve = _evaluated(name, summary.get("history", []))
        if curve.points:
            spread = _spread(curve, history.curves.get(f"{name}_std"))
            direction = (
                DIRECTIONS.get(str(entry.get("higher_is_better")))
                if isinstance(entry, dict)
                else None
            )
            notes = ["The band is the score's own standard deviation."] if any(spread) else []
            series = [Series(name, curve.points, spread)]
            y = f"{name} ({direction})" if direction else name
            charts.append(Chart(name, series, y=y, notes=[*notes, *_lost([curve])]))
    return charts


def training_charts(history: History, scores: set[str]) -> list[Chart]:
    """Returns one chart per quantity; the losses of both players, for example, share one.

    Args:
        history: all logged values.
        scores: names of scores, which have separate charts.
    """
    kinds: dict[str, list[Curve]] = {}
    for name, curve in history.curves.items():
        if curve.points and not {name, name.removesuffix("_std")} & scores:
            kinds.setdefault(kind_of(name), []).append(curve)
    ordered = sorted(kinds, key=lambda kind: FIRST.index(kind) if kind in FIRST else len(FIRST))
    return [_chart(kind, kinds[kind]) for kind in ordered]


def kind_of(name: str) -> str:
    """Returns the quantity: ``logit`` for ``discriminator/real_logit`` and ``.../fake_logit``."""
    kind = name.rpartition("/")[2]
    for side in SIDES:
        kind = kind.removeprefix(side)
    return kind


def drawn(charts: list[Chart]) -> Markup:
    """Returns the charts as HTML, side by side."""
    return element("div", {"class": "charts"}, *(figure(chart) for chart in charts))


def _chart(kind: str, curves: list[Curve]) -> Chart:
    series = [
        Series(curve.name, thinned(curve.points), color=i % COLORS)
        for i, curve in enumerate(curves)
    ]
    title = kind.replace("_", " ")
    return Chart(title, series, y=title, notes=_lost(curves))


def _evaluated(name: str, evaluations: list[dict[str, Any]]) -> Curve:
    rows = [(p["images_seen"], p[name]) for p in evaluations if {name, "images_seen"} <= p.keys()]
    points = [(float(images), float(v)) for images, v in rows if images is not None and _finite(v)]
    return Curve(name, thinned(sorted(points)), len(rows) - len(points))


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _spread(curve: Curve, logged: Curve | None) -> list[float]:
    stds = dict(logged.points) if logged else {}
    return [stds.get(images, 0.0) for images, _ in curve.points]


def _lost(curves: list[Curve]) -> list[str]:
    return [
        f"{curve.name}: {curve.lost} values are not finite and not drawn."
        for curve in curves
        if curve.lost
    ]
