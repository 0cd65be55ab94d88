"""The values that a run has logged: metrics.csv as curves over images seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from ganforge.logged_rows import LoggedRows

AXES = ("step", "images_seen", "seconds")
Points = list[tuple[float, float]]
MAX_POINTS = 300  # maximum points of a curve; dropped ones lie between the extremes kept nearby


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
