from __future__ import annotations

import time


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
