from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

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
        self._losses: Tensor | None = None  # their sum, which is finite only if all of them are

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
        self._losses = loss if self._losses is None else self._losses + loss

    def assert_finite(self, step: int, agreed: Callable[[bool], bool]) -> None:
        """Raises DivergenceError if a loss since the last call was not finite.

        Args:
            step: number of finished steps.
            agreed: maps whether this process found them finite to whether all processes did.
        """
        losses, self._losses = self._losses, None
        if losses is not None and not agreed(bool(losses.isfinite())):
            raise diverged("a loss is", step)


def as_numbers(
    values: Mapping[str, Tensor | float],
    device: torch.device,
    reduce_mean: Callable[[Tensor], Tensor],
) -> dict[str, float]:
    """Returns values as numbers: tensors averaged by ``reduce_mean``, all in one tensor."""
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    numbers = {name: float(v) for name, v in values.items() if name not in tensors}
    if tensors:
        stacked = torch.stack([value.to(device, torch.float32) for value in tensors.values()])
        numbers |= dict(zip(tensors, reduce_mean(stacked).tolist(), strict=True))
    return numbers


def assert_finite_weights(module: nn.Module, step: int) -> None:
    """Raises DivergenceError if a weight is not finite; synchronizes with the device."""
    weights = [p.detach() for p in module.parameters() if p.is_floating_point()]
    if not bool(torch.stack([weight.isfinite().all() for weight in weights]).all()):
        raise diverged("weights are", step)


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
