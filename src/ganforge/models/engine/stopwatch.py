from __future__ import annotations

import time


class Stopwatch:
    """Seconds of training: what callbacks take (evaluations, grids, checkpoints) is left out."""

    def __init__(self) -> None:
        self._total = 0.0
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds counted so far."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        return self._total + running

    def start(self) -> None:
        """Counts from now on."""
        if self._started is None:
            self._started = time.perf_counter()

    def stop(self) -> None:
        """Counts no more until the next start."""
        self._total, self._started = self.seconds, None

    def set(self, seconds: float) -> None:
        """Goes on from what an earlier process had counted."""
        self._total, self._started = seconds, None
