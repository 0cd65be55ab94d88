"""Line charts as inline SVG, with axes, a legend and the values under the pointer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from ganforge.report.charts.scales import Scale, fits_log, short
from ganforge.report.markup import Markup, Named, data, element, join, note

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 46
COLORS = 10  # number of curve colors in the style sheet

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A curve.

    Attributes:
        name: name in the legend.
        points: finite coordinates, sorted by x.
        spread: half the height of the band at each point; empty for no band.
        color: index of the color in the style sheet.
    """

    name: str
    points: list[Point]
    spread: list[float] = field(default_factory=list)
    color: int = 0

    def ends(self) -> list[float]:
        """Returns all y values that the axis must cover, including the band."""
        heights = [y for _, y in self.points]
        low = [y - s for y, s in zip(heights, self.spread, strict=False)]
        high = [y + s for y, s in zip(heights, self.spread, strict=False)]
        return heights + low + high


@dataclass(frozen=True)
class Chart:
    """A chart of one or more curves.

    Attributes:
        title: heading.
        series: the curves, with at least one point in total.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        notes: sentences below the chart.
    """

    title: str
    series: Sequence[Series]
    x: str = "real images seen"
    y: str = "value"
    notes: Sequence[str] = ()


def figure(chart: Chart) -> Markup:
    """Returns a chart as HTML.

    If all values are positive and span a large range, it can be switched to a logarithmic axis.
    """
    heights = list(chain.from_iterable(series.ends() for series in chart.series))
    values = [y for series in chart.series for _, y in series.points]
    across = Scale.over([x for series in chart.series for x, _ in series.points], margin=0.02)
    pictures = [_picture(chart, across, Scale.over(heights))]
    if switch := fits_log(values):
        positive = [height for height in heights if height >= min(values)]
        pictures.append(_picture(chart, across, Scale.over(positive, log=True), hidden=True))
    caption = element("figcaption", None, element("h3", None, chart.title), _switch(switch))
    tip = element("output", {"class": "tip", "hidden": True})
    plot = element("div", {"class": "plot"}, *pictures, tip)
    return element(
        "figure",
        {"class": "chart"},
        caption,
        plot,
        _legend(chart),
        *map(note, chart.notes),
        _values(chart),
    )


def path(points: Sequence[Point]) -> str:
    """Returns the SVG path commands of a line through points in pixels."""
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _switch(needed: bool) -> Markup | None:
    if not needed:
        return None
    box = element("input", {"type": "checkbox", "class": "log"})
    return element("label", {"class": "switch needs-script"}, box, " logarithmic")


def _picture(chart: Chart, across: Scale, up: Scale, hidden: bool = False) -> Markup:
    attributes: Named = {
        "viewBox": f"0 0 {WIDTH} {HEIGHT}",
        "class": "log" if up.log else "linear",
        "role": "img",
        "aria-label": _described(chart),
        "tabindex": 0,
        "data-left": f"{_x(across, across.low):g}",
        "data-right": f"{_x(across, across.high):g}",
        "data-low": repr(across.low),
        "data-high": repr(across.high),
        "hidden": hidden,
    }
    curves = [_curve(one, i, across, up) for i, one in enumerate(chart.series) if one.points]
    cursor = element("line", {"class": "cursor", "y1": TOP, "y2": HEIGHT - BOTTOM, "hidden": True})
    return element("svg", attributes, _axes(chart, across, up), *curves, cursor)


def _axes(chart: Chart, across: Scale, up: Scale) -> Markup:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    marks = []
    for value in up.ticks():
        y = f"{_y(up, value):.1f}"
        marks.append(_line("grid", LEFT, right, y, y))
        position: Named = {"x": LEFT - 6, "y": y, "dominant-baseline": "middle"}
        marks.append(element("text", {**position, "text-anchor": "end"}, short(value)))
    for value in across.ticks():
        x = f"{_x(across, value):.1f}"
        marks.append(_line("tick", x, x, floor, floor + 4))
        marks.append(_centered({"x": x, "y": floor + 17}, short(value)))
    marks.append(element("path", {"class": "axis", "d": f"M{LEFT},{TOP}V{floor}H{right}"}))
    marks.append(_centered({"x": (LEFT + right) / 2, "y": HEIGHT - 8, "class": "label"}, chart.x))
    turned = f"translate(14 {(TOP + floor) / 2}) rotate(-90)"
    return join(*marks, _centered({"transform": turned, "class": "label"}, chart.y))


def _line(kind: str, x1: float | str, x2: float | str, y1: float | str, y2: float | str) -> Markup:
    return element("line", {"class": kind, "x1": x1, "x2": x2, "y1": y1, "y2": y2})


def _centered(attributes: Named, text: str) -> Markup:
    return element("text", {**attributes, "text-anchor": "middle"}, text)


def _curve(series: Series, index: int, across: Scale, up: Scale) -> Markup:
    # Values at or below zero are clipped to the lower end of a log axis.
    pixels = [(_x(across, x), _y(up, max(y, up.low) if up.log else y)) for x, y in series.points]
    line = element("path", {"class": "line", "d": path(pixels)})
    dots = [element("circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": 2.4}) for x, y in pixels]
    few = join(*dots) if len(dots) <= 40 else None
    attributes: Named = {"class": f"series c{series.color % COLORS}", "data-series": index}
    return element("g", attributes, _band(series, across, up), line, few)


def _band(series: Series, across: Scale, up: Scale) -> Markup | None:
    if not any(series.spread):
        return None
    both = list(zip(series.points, series.spread, strict=True))

    def edge(sign: int) -> list[Point]:
        return [(_x(across, x), _y(up, max(y + sign * s, up.low))) for (x, y), s in both]

    return element("path", {"class": "band", "d": path([*edge(1), *edge(-1)[::-1]]) + "Z"})


def _legend(chart: Chart) -> Markup:
    """Returns the legend; each name is a button that hides its curve."""
    names = []
    for i, series in enumerate(chart.series):
        key = element("span", {"class": f"key c{series.color % COLORS}", "aria-hidden": "true"})
        button: Named = {"type": "button", "aria-pressed": "true", "data-series": i}
        names.append(element("li", None, element("button", button, key, series.name)))
    return element("ul", {"class": "legend"}, *names)


def _values(chart: Chart) -> Markup:
    lines = [
        {"name": s.name, "x": [x for x, _ in s.points], "y": [y for _, y in s.points]}
        for s in chart.series
    ]
    return data({"x": chart.x, "series": lines}, {"class": "values"})


def _described(chart: Chart) -> str:
    """Returns a text description of the chart for screen readers."""
    parts = [
        f"{s.name} from {s.points[0][1]:.4g} to {s.points[-1][1]:.4g}"
        for s in chart.series
        if s.points
    ]
    return f"{chart.title} over {chart.x}: {'; '.join(parts)}. Arrow keys read values."


def _x(scale: Scale, value: float) -> float:
    return LEFT + scale.position(value) * (WIDTH - LEFT - RIGHT)


def _y(scale: Scale, value: float) -> float:
    return HEIGHT - BOTTOM - scale.position(value) * (HEIGHT - TOP - BOTTOM)
