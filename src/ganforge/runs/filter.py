from __future__ import annotations

import re
import time
from dataclasses import dataclass

from ganforge.config.check import did_you_mean
from ganforge.config.compose import options
from ganforge.errors import ConfigError
from ganforge.runs.entry import STATUSES, RunEntry

UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class RunFilter:
    """A filter over runs: a run passes if it meets all given conditions.

    Args:
        statuses: a run has any of these; empty for all.
        options: by group, a run has any of these options; a group with an empty list is ignored.
        older_than: minimum time since the last change, such as "7d"; None for any age.
        newer_than: maximum time since the last change, such as "12h"; None for any age.

    Raises:
        ConfigError: a status or an age is not legal.
    """

    statuses: list[str]
    options: dict[str, list[str]]
    older_than: str | None = None
    newer_than: str | None = None

    def __post_init__(self) -> None:
        for status in self.statuses:
            if status not in STATUSES:
                raise ConfigError(f"status={status}: {did_you_mean(status, list(STATUSES))}")
        older, newer = self._ages
        if older is not None and newer is not None and older >= newer:
            raise ConfigError(
                f"older_than={self.older_than} newer_than={self.newer_than}: no run is both; "
                "newer_than must be the longer time"
            )

    def __bool__(self) -> bool:
        """Whether any condition is given."""
        return bool(self.statuses) or any(self.options.values()) or any(self._ages)

    def __call__(self, run: RunEntry) -> bool:
        """Whether a run passes."""
        older, newer = self._ages
        age = time.time() - run.changed
        return (
            (not self.statuses or run.status in self.statuses)
            and all(any(run.is_of(g, o) for o in some) for g, some in self.options.items() if some)
            and (older is None or age > older)
            and (newer is None or age < newer)
        )

    def check_options(self, runs: list[RunEntry]) -> None:
        """Rejects options that neither conf/ nor any run has, such as misspelled ones.

        Raises:
            ConfigError: naming the legal options.
        """
        for group, wanted in self.options.items():
            known = {str(run.choices[group]) for run in runs if group in run.choices}
            if wanted and runs and not known:
                names = sorted({name for run in runs for name in run.choices})
                raise ConfigError(
                    f"{group}={','.join(wanted)}: runs do not record that choice; legal: "
                    f"{', '.join(names) or 'none'}"
                )
            legal = sorted(known | set(options(group)))
            short = {name.rpartition("/")[2] for name in legal}
            for option in wanted:
                if option not in short.union(legal):
                    hint = did_you_mean(option, legal)
                    raise ConfigError(f"{group}={option}: no such option; {hint}")

    @property
    def _ages(self) -> tuple[float | None, float | None]:
        older = age_in_seconds("older_than", self.older_than)
        return older, age_in_seconds("newer_than", self.newer_than)


def age_in_seconds(name: str, text: str | None) -> float | None:
    """Returns a duration such as ``30m``, ``12h``, ``7d`` or ``2w`` in seconds; None for None.

    Args:
        name: name of the key, for the message.
        text: a number above 0 and its unit.

    Raises:
        ConfigError: the text is anything else.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text, re.ASCII)
    if found is None or float(found[1]) == 0:
        raise ConfigError(
            f"{name}={text}: must be a number above 0 and a unit, m (minutes), h (hours), "
            "d (days) or w (weeks), such as 30m, 12h or 7d"
        )
    return float(found[1]) * UNITS[found[2]]
