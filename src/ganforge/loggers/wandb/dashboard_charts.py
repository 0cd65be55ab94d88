"""Which charts a dashboard has: what runs log, sorted by what it tells of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ganforge.logged_rows import LoggedRows

FAMILIES = ("fid", "kid", "is")
PLAYERS = ("generator", "discriminator")
COUNTS = ("step", "images_seen", "seconds")
# What every run of noise games logs, where there is none to look at.
USUAL = (
    *COUNTS,
    "images_per_second",
    *(
        f"{player}/{name}"
        for name in ("loss", "gradient_norm", "learning_rate")
        for player in PLAYERS
    ),
    *(
        f"discriminator/{kind}_{name}"
        for name in ("logit", "accuracy")
        for kind in ("real", "fake")
    ),
    "fid_classifier",
    "kid_classifier",
    "is_classifier",
)


@dataclass(frozen=True)
class Chart:
    """A line plot over the images seen.

    Attributes:
        title: above it.
        names: of the points that are drawn.
        log: whether the y-axis is logarithmic.
    """

    title: str
    names: tuple[str, ...]
    log: bool = False


@dataclass(frozen=True)
class Charts:
    """The charts of each section; see :func:`charts_of`."""

    quality: list[Chart]
    balance: list[Chart]
    gradients: list[Chart]
    throughput: list[Chart]

    @property
    def score(self) -> str:
        """The score that models are compared by: the first one there is."""
        return self.quality[0].names[0] if self.quality else "fid"


def logged_names(runs: Iterable[Path]) -> list[str]:
    """Returns the columns of the runs' metrics.csv, each once, in order of appearance."""
    found: dict[str, None] = {}
    for run in runs:
        try:
            found |= dict.fromkeys(LoggedRows.read(run / "metrics.csv").columns)
        except OSError:  # killed before its first point, or logged elsewhere
            continue
    return list(found)


def charts_of(names: Iterable[str]) -> Charts:
    """Sorts names into charts.

    Scores have no player in their name and get a chart each, those of one family the same one.
    Gradient norms, learning rates and penalties tell of gradients, the throughput of the machine,
    and all else of the players' balance.
    """
    left = [name for name in names if name not in COUNTS and not name.endswith("_std")]
    throughput = [name for name in left if name == "images_per_second"]
    scores = [name for name in left if "/" not in name and name not in throughput]
    gradients = [name for name in left if _tells_of_gradients(name)]
    balance = [name for name in left if name not in {*throughput, *scores, *gradients}]
    return Charts(
        quality=_families(scores),
        balance=_by_quantity(balance),
        gradients=_by_quantity(gradients),
        throughput=[Chart(name, (name,)) for name in throughput],
    )


def _tells_of_gradients(name: str) -> bool:
    quantity = name.rpartition("/")[2]
    parts = ("gradient", "learning_rate", "r1", "r2", "path_length", "penalty")
    return "/" in name and quantity.startswith(parts)


def _families(scores: list[str]) -> list[Chart]:
    found: dict[str, list[str]] = {}
    for name in sorted(scores, key=_rank):
        first = name.partition("_")[0]
        found.setdefault(first if first in FAMILIES else name, []).append(name)
    return [
        Chart(title, tuple(names), log=title in ("fid", "kid")) for title, names in found.items()
    ]


def _rank(name: str) -> int:
    first = name.partition("_")[0]
    return FAMILIES.index(first) if first in FAMILIES else len(FAMILIES)


def _by_quantity(names: list[str]) -> list[Chart]:
    """Puts what both players have, or reals and fakes have, into one chart."""
    found: dict[str, list[str]] = {}
    for name in names:
        player, _, quantity = name.partition("/")
        for kind in ("real_", "fake_"):
            quantity = quantity.removeprefix(kind)
        title = quantity if player in PLAYERS else f"{player}/{quantity}"
        found.setdefault(title.replace("_", " "), []).append(name)
    return [Chart(title, tuple(names)) for title, names in found.items()]
