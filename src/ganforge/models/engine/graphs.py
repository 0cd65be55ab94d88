"""Updates as CUDA graphs: recorded once, then replayed with other numbers."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ganforge.models.engine.observations import Observations
from ganforge.models.engine.recorders import Outcome, Passes, Recorder, cause
from ganforge.models.engine.update import Batch, Number, Update
from ganforge.streams import Forks, follow, new_generator

REHEARSALS = 3  # libraries choose algorithms and allocate workspaces in the first passes
MAX_GRAPHS = 8
MAX_KINDS = 64  # kinds of updates whose rehearsals are counted

log = logging.getLogger(__name__)


@dataclass
class Inputs:
    """What changes from one replay of an update to the next, besides its batch.

    Attributes:
        paths: forks that lead to each of its streams of random draws.
        numbers: its scheduled numbers.
    """

    paths: list[Forks] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)

    def rehearsing(self, update: Update) -> Update:
        """Returns an update that notes its inputs here."""

        def source(seed: int, path: Forks, device: torch.device) -> torch.Generator:
            self.paths.append(path)
            return new_generator(seed, path, device)

        def input_of(number: Number) -> float:
            self.numbers.append(number)
            return number(update.images_seen)

        return replace(update, noise=update.noise.drawn_from(source), input_of=input_of)


class UpdateGraph:
    """The passes of an update, recorded for replays with other batches and random draws.

    Args:
        recorder: records them.
        passes: the passes.
        update: an example of the update.
        inputs: what a rehearsal noted.
        weights: weights of the player that is updated.
    """

    def __init__(
        self,
        recorder: Recorder,
        passes: Passes,
        update: Update,
        inputs: Inputs,
        weights: Iterable[nn.Parameter],
    ) -> None:
        self._inputs, self._seen = inputs, Observations()
        self._batch = {name: rows.clone() for name, rows in update.batch.items()}
        device = update.noise.device
        self._generators = [new_generator(update.noise.root, p, device) for p in inputs.paths]
        self._scalars = [torch.zeros((), device=device) for _ in inputs.numbers]
        self._values: list[float | None] = [None for _ in inputs.numbers]
        recorded = self._recorded(update)
        self._outcome, self._replay = recorder.record(lambda: passes(recorded), self._generators)
        self._gradients = [(weight, weight.grad) for weight in weights if weight.grad is not None]

    def _recorded(self, update: Update) -> Update:
        known = iter(zip(self._inputs.paths, self._generators, strict=True))
        scalars = iter(self._scalars)

        def source(seed: int, path: Forks, device: torch.device) -> torch.Generator:
            expected, generator = next(known, (None, None))
            if generator is None or path != expected:
                raise RuntimeError("it draws other random numbers than before")
            return generator

        def input_of(number: Number) -> Tensor:
            scalar = next(scalars, None)
            if scalar is None:
                raise RuntimeError("it has other scheduled numbers than before")
            return scalar

        noise, seen = update.noise.drawn_from(source), self._seen
        return replace(
            update, batch=self._batch, noise=noise, observations=seen, kept={}, input_of=input_of
        )

    def replay(self, update: Update) -> Outcome:
        """Runs the passes of an update; its observations and gradients are where they would be."""
        names = list(self._batch)
        torch._foreach_copy_(
            [self._batch[name] for name in names], [update.batch[name] for name in names]
        )
        for generator, path in zip(self._generators, self._inputs.paths, strict=True):
            generator.manual_seed(follow(update.noise.root, path))
        self._set_numbers(update.images_seen)
        self._replay()
        for weight, gradient in self._gradients:
            weight.grad = gradient
        for name, value in self._seen.lasting.items():
            copied = value.clone() if isinstance(value, Tensor) else value
            update.observations.add(name, copied, lasting=True)
        kept = {name: rows.clone() for name, rows in self._outcome.kept.items()}
        return Outcome(self._outcome.loss.clone(), kept)

    def _set_numbers(self, images_seen: int) -> None:
        for i, (number, scalar) in enumerate(zip(self._inputs.numbers, self._scalars, strict=True)):
            if (value := number(images_seen)) != self._values[i]:
                scalar.fill_(value)
                self._values[i] = value


@dataclass
class Rehearsed:
    """Rehearsals of an update.

    Attributes:
        inputs: its inputs in the last one.
        count: their number.
        refused: whether it cannot be recorded.
    """

    inputs: Inputs = field(default_factory=Inputs)
    count: int = 0
    refused: bool = False


class UpdateGraphs:
    """The recorded updates of a training.

    An update is recorded after three others of the same kind. If that is impossible, because it
    waits for the device, updates of this kind run as they are written, and a warning says so.

    Args:
        recorder: records updates.
        discard: drops what parts of the model have measured in an unfinished update.
    """

    def __init__(self, recorder: Recorder, discard: Callable[[], None]) -> None:
        self._recorder = recorder
        self._discard = discard
        self._graphs: OrderedDict[Hashable, UpdateGraph] = OrderedDict()
        self._rehearsed: OrderedDict[Hashable, Rehearsed] = OrderedDict()

    def forget(self) -> None:
        """Drops all graphs: networks or settings have changed."""
        self._graphs.clear()
        self._rehearsed.clear()
        self._recorder.forget()

    def run(
        self, update: Update, kind: Hashable, passes: Passes, weights: Sequence[nn.Parameter]
    ) -> Outcome:
        """Runs the passes of an update: rehearses, records or replays them.

        Args:
            update: the update.
            kind: what decides on its operations, besides the shapes of its batch.
            passes: its passes, a function of the update alone.
            weights: the weights that it updates, without gradients.
        """
        key = (update.player, update.lazy, kind, _shapes(update.batch))
        graph = self._graphs.get(key) or self._recorded(key, update, passes, weights)
        if graph is not None:
            self._graphs.move_to_end(key)
            return graph.replay(update)
        rehearsed = self._known(key)
        rehearsed.count += 1
        rehearsed.inputs = inputs = Inputs()
        return self._recorder.rehearse(lambda: passes(inputs.rehearsing(update)))

    def _recorded(
        self, key: Hashable, update: Update, passes: Passes, weights: Sequence[nn.Parameter]
    ) -> UpdateGraph | None:
        known = self._known(key)
        if known.refused or known.count < REHEARSALS:
            return None
        try:
            graph = UpdateGraph(self._recorder, passes, update, known.inputs, weights)
        except RuntimeError as error:  # also the errors of CUDA
            known.refused = True
            self._discard()
            for weight in weights:
                weight.grad = None
            log.warning(
                "updates of the %s cannot be recorded as a CUDA graph and run as they are "
                "written: %s",
                update.player,
                cause(error),
            )
            return None
        self._graphs[key] = graph
        if len(self._graphs) > MAX_GRAPHS:
            self._graphs.popitem(last=False)
        return graph

    def _known(self, key: Hashable) -> Rehearsed:
        known = self._rehearsed.setdefault(key, Rehearsed())
        self._rehearsed.move_to_end(key)
        if len(self._rehearsed) > MAX_KINDS:
            self._rehearsed.popitem(last=False)
        return known


def _shapes(batch: Batch) -> Hashable:
    return tuple((name, rows.shape, rows.dtype, rows.stride()) for name, rows in batch.items())
