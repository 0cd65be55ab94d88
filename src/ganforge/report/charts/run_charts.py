"""Charts of a run: its scores and its training metrics."""

from __future__ import annotations

import math
from typing import Any

from ganforge.report.charts.chart import COLORS, Chart, Series, figure
from ganforge.report.charts.history import Curve, History, thinned
from ganforge.report.markup import Markup, element

# Charts shown first; the others follow in the order in which they were logged.
FIRST = ("loss", "logit", "accuracy", "gradient_norm")
DIRECTIONS = {"True": "higher is better", "False": "lower is better"}
SIDES = ("real_", "fake_")


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
