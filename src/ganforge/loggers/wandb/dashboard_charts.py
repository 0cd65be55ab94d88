"""Sorts the values that runs log into the charts of a dashboard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ganforge.logged_rows import LoggedRows

FAMILIES = ("fid", "kid", "is")
PLAYERS = ("generator", "discriminator")
COUNTS = ("step", "images_seen", "seconds")
# Logged by every run of a noise-to-image GAN; used if there are no runs to read names from.
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
    """A line plot over images seen.

    Attributes:
        title: title of the plot.
        names: names of the logged values.
        log: whether the y-axis is logarithmic.
    """

    title: str
    names: tuple[str, ...]
    log: bool = False


@dataclass(frozen=True)
class Charts:
    """Charts by section; see :func:`charts_of`."""

    quality: list[Chart]
    balance: list[Chart]
    gradients: list[Chart]
    throughput: list[Chart]

    @property
    def score(self) -> str:
        """The score for comparing models: the first one logged, or "fid" if there is none."""
        return self.quality[0].names[0] if self.quality else "fid"


def logged_names(runs: Iterable[Path]) -> list[str]:
    """Returns the distinct columns of the runs' metrics.csv files, in order of appearance."""
    found: dict[str, None] = {}
    for run in runs:
        try:
            found |= dict.fromkeys(LoggedRows.read(run / "metrics.csv").columns)
        except OSError:  # killed before its first point, or no CSV logger
            continue
    return list(found)


def charts_of(names: Iterable[str]) -> Charts:
    """Returns the charts for the given names of logged values.

    Scores, whose names have no ``/``, get one chart per family (fid, kid, is) or one each. Gradient
    norms, learning rates and penalties form the section on gradients, images per second the section
    on throughput, and all other values the section on the balance of the players.
    """
    left = [name for name in names if name not in COUNTS and not name.endswith("_std")]
    throughput = [name for name in left if name == "images_per_second"]
    scores = [name for name in left if "/" not in name and name not in throughput]
    gradients = [name for name in left if _is_about_gradients(name)]
    balance = [name for name in left if name not in {*throughput, *scores, *gradients}]
    return Charts(
        quality=_families(scores),
        balance=_by_quantity(balance),
        gradients=_by_quantity(gradients),
        throughput=[Chart(name, (name,)) for name in throughput],
    )


def _is_about_gradients(name: str) -> bool:
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
    """Returns charts that combine both players, and real and fake, of the same quantity."""
    found: dict[str, list[str]] = {}
    for name in names:
        player, _, quantity = name.partition("/")
        for kind in ("real_", "fake_"):
            quantity = quantity.removeprefix(kind)
        title = quantity if player in PLAYERS else f"{player}/{quantity}"
        found.setdefault(title.replace("_", " "), []).append(name)
    return [Chart(title, tuple(names)) for title, names in found.items()]
