from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

NOT_SCORES = ("images_seen", "images_per_second", "seconds")


@dataclass(frozen=True)
class Status:
    """The progress of a run.

    Attributes:
        step: completed generator updates.
        max_steps: budget in updates; None for no limit.
        images_seen: real images used for training.
        seconds: training time so far, counted against ``max_seconds``.
        max_seconds: budget in seconds; None for no limit.
        first_step: step at which this process started.
        elapsed: wall time since then, in seconds.
        values: last logged values by name.
    """

    step: int
    max_steps: int | None = None
    images_seen: int = 0
    seconds: float = 0.0
    max_seconds: float | None = None
    first_step: int = 0
    elapsed: float = 0.0
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def done(self) -> float | None:
        """The used fraction of the budget, in [0, 1]; None without a budget."""
        shares = []
        if self.max_steps:
            shares.append(self.step / self.max_steps)
        if self.max_seconds:
            shares.append(self.seconds / self.max_seconds)
        return min(1.0, max(shares)) if shares else None

    @property
    def remaining(self) -> float | None:
        """Estimated seconds left until the first budget is used up; None if unknown."""
        estimates = []
        steps = self.step - self.first_step
        if self.max_steps and steps > 0:
            estimates.append((self.max_steps - self.step) * self.elapsed / steps)
        if self.max_seconds:
            estimates.append(self.max_seconds - self.seconds)
        return max(0.0, min(estimates)) if estimates else None


def scores(values: Mapping[str, float]) -> dict[str, float]:
    """Returns the logged scores: all values but those of networks, counts and timings."""
    return {
        name: value for name, value in values.items() if "/" not in name and name not in NOT_SCORES
    }


def describe(status: Status) -> str:
    """Returns a line such as ``step 300/1500  20 %  images 19.2k  G 0.93  D 1.12 ... ETA 0:58``."""
    parts = [position(status)]
    if status.done is not None:
        parts.append(f"{100 * status.done:.0f} %")
    return "  ".join([*parts, *details(status)])


def position(status: Status) -> str:
    """Returns ``step 300/1500``."""
    return f"step {status.step}" + (f"/{status.max_steps}" if status.max_steps else "")


def details(status: Status) -> list[str]:
    """Returns the parts of the progress line after the position.

    D(real) and D(fake) are mean raw logits, p is the augmentation probability.
    """
    values = status.values
    parts = [f"images {count(status.images_seen)}"]
    parts += _named(values, G="generator/loss", D="discriminator/loss")
    logits = {"D(real)": "discriminator/real_logit", "D(fake)": "discriminator/fake_logit"}
    if texts := _named(values, **logits):
        parts.append(" ".join(texts))
    rates = [values.get(f"discriminator/{kind}_accuracy") for kind in ("real", "fake")]
    if shares := [f"{100 * rate:.0f}" for rate in rates if rate is not None]:
        parts.append(f"accuracy {'/'.join(shares)} %")
    parts += _named(values, p="augment/p")
    if (speed := values.get("images_per_second")) is not None:
        parts.append(f"{speed:.0f} images/s")
    if status.remaining is not None:
        parts.append(f"ETA {duration(status.remaining)}")
    return parts


def number(value: float) -> str:
    """Returns a number with about three digits: 0.93, 451.2, 1234, 3.4e-05."""
    size = abs(value)
    if not math.isfinite(value):
        return str(value)
    if size != 0 and (size < 0.005 or size >= 1e6):
        return f"{value:.1e}"
    return f"{value:.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.2f}"


def count(value: int) -> str:
    """Returns a count in short form: 950, 19.2k or 1.3M."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return str(value)


def duration(seconds: float) -> str:
    """Returns a duration as 0:58, 12:05 or 3:02:41."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _named(values: Mapping[str, float], **names: str) -> list[str]:
    return [f"{short} {number(values[name])}" for short, name in names.items() if name in values]
