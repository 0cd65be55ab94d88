from __future__ import annotations

import time
from collections.abc import Mapping

from torch import Tensor

from ganforge.errors import DivergenceError

Scalars = dict[str, Tensor | float]


class Observations:
    """Scalars of the updates since the last log point, and whether all losses were finite.

    Reading a value synchronizes with the device, so values stay tensors until a point is logged.

    Args:
        lasting: values that are logged until they are replaced.

    Attributes:
        lasting: see the argument.
    """

    def __init__(self, lasting: Mapping[str, Tensor | float] | None = None) -> None:
        self.lasting: Scalars = dict(lasting or {})
        self._step: Scalars = {}
        self._finite: Tensor | None = None

    def add(
        self,
        name: str,
        value: Tensor | float,
        lasting: bool = False,
        index: int = 0,
        share: float = 1.0,
    ) -> None:
        """Records a scalar; the values of the parts of an update are averaged.

        Args:
            name: name of the value in the log.
            value: a scalar.
            lasting: whether it is logged until it is replaced.
            index: index of the part of the update.
            share: share of the part in the batch.
        """
        values = self.lasting if lasting else self._step
        part = share * (value.detach().float() if isinstance(value, Tensor) else value)
        values[name] = part + values[name] if index > 0 else part

    def taken(self) -> Scalars:
        """Returns all values and forgets those that do not last."""
        step, self._step = self._step, {}
        return self.lasting | step

    def watch(self, loss: Tensor) -> None:
        """Remembers whether a loss is finite."""
        finite = loss.isfinite()
        self._finite = finite if self._finite is None else self._finite & finite

    def finite(self) -> bool | None:
        """Returns whether all losses since the last call were finite; None without losses."""
        finite, self._finite = self._finite, None
        return None if finite is None else bool(finite)


def diverged(what: str, step: int) -> DivergenceError:
    """Returns the error for a loss or weights that are no longer finite."""
    return DivergenceError(
        f"{what} not finite at step {step}: training has diverged. The last checkpoint holds "
        "finite weights; try a smaller learning rate, a penalty (regularizer=[r1]) or "
        "trainer.precision=32-true."
    )


class Stopwatch:
    """Measures training time, without the time of callbacks (evaluations, grids, checkpoints)."""

    def __init__(self) -> None:
        self._total = 0.0
        self._started: float | None = None
        self._lap = (0, 0.0)  # images and seconds at the start of the current lap

    @property
    def seconds(self) -> float:
        """Seconds measured so far."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        return self._total + running

    def start(self) -> None:
        """Starts measuring; does nothing if it is running."""
        if self._started is None:
            self._started = time.perf_counter()

    def stop(self) -> None:
        """Stops measuring until the next :meth:`start`."""
        self._total, self._started = self.seconds, None

    def lap(self, count: int) -> dict[str, float]:
        """Returns the seconds so far, and the images per second since the last lap.

        Args:
            count: images so far.
        """
        (before, then), self._lap = self._lap, (count, self.seconds)
        now = self._lap[1]
        return {"images_per_second": (count - before) / max(now - then, 1e-9), "seconds": now}

    def set(self, seconds: float) -> None:
        """Sets the seconds measured so far, for example from a checkpoint, and stops measuring."""
        self._total, self._started = seconds, None
