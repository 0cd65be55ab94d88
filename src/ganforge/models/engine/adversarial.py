from __future__ import annotations

from collections.abc import Hashable
from contextlib import nullcontext
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Optimizer

from ganforge.models.critic import Critic
from ganforge.models.engine.averaging import ExponentialMovingAverage
from ganforge.models.engine.checks import check_numbers
from ganforge.models.engine.compilation import derivable
from ganforge.models.engine.graphs import UpdateGraphs
from ganforge.models.engine.observations import (
    Observations,
    Stopwatch,
    as_numbers,
    assert_finite_weights,
)
from ganforge.models.engine.optimizers import (
    adopt_state,
    clipped,
    frozen,
    optimizer_of,
    weights_of,
)
from ganforge.models.engine.processes import Processes
from ganforge.models.engine.progressive import Growth
from ganforge.models.engine.recorders import CudaRecorder, Outcome
from ganforge.models.engine.sampling import Sampling
from ganforge.models.engine.stepping import Stepper
from ganforge.models.engine.update import (
    Batch,
    CriticSteps,
    Objective,
    OptimizerFactory,
    Player,
    Schedule,
    Update,
    joined,
    no_schedule,
    split,
    with_floats,
)
from ganforge.needs import Need
from ganforge.streams import Noise, Stream, Substream, mix, seed_layers


class AdversarialModule(Sampling, LightningModule):
    """Base class of all models: optimizes two players in turn, with manual optimization.

    One step is one update of the generator, preceded by ``critic_steps`` updates of the
    discriminator, each on its own reals. Lightning counts only the generator's updates:
    ``trainer.max_steps``, checkpoints and the axis of every logger are in that unit.

    All randomness is a function of (seed, step, update), and the position in the data is a
    function of the images seen, so a killed run resumes bit-identically. Random draws are made for
    the global batch; each process takes its rows.

    Subclasses override :meth:`play` and define what each player minimizes.

    Attributes:
        needs: what the data must give; with "inputs", the model translates images.
        classes_are_labels: whether the classes are the labels of the data, with their names.
        packing: images that the discriminator gets as one input.
        growth: schedule of progressive growing; None for images of full size only.
        iteration: number of finished steps.
        images_seen: real images that the discriminator has seen, over all processes.

    Args:
        generator: all networks of the generator.
        discriminator: all networks of the discriminator; returns raw logits.
        generator_optimizer: makes the generator's optimizer from its parameters.
        discriminator_optimizer: makes the discriminator's optimizer from its parameters.
        generator_schedule: factor of the generator's learning rate at each step.
        discriminator_schedule: factor of the discriminator's learning rate at each step.
        average: moving average of the generator; None evaluates the live weights.
        critic_steps: discriminator updates per generator update, or a function from the number of
            finished steps to it.
        accumulate: number of parts that a batch is split into to save memory. The update is the
            same, except with BatchNorm and spectral normalization, which see the parts.
        clip_norm: maximum norm of a player's gradient, measured after unscaling; None for no limit.
        seed: seed of every random stream in training.
    """

    needs: frozenset[Need] = frozenset()
    classes_are_labels: bool = True
    packing: int = 1
    growth: Growth | None = None

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        generator_optimizer: OptimizerFactory,
        discriminator_optimizer: OptimizerFactory,
        generator_schedule: Schedule = no_schedule,
        discriminator_schedule: Schedule = no_schedule,
        average: ExponentialMovingAverage | None = None,
        critic_steps: int | CriticSteps = 1,
        accumulate: int = 1,
        clip_norm: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_numbers(critic_steps, accumulate, clip_norm)
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.average = average
        if average is not None:
            average.follow(generator)
        self.critic_steps = critic_steps
        self.accumulate = accumulate
        self.clip_norm = clip_norm
        self.seed = seed
        self.iteration = 0
        self.images_seen = 0
        self.stopwatch = Stopwatch()
        self.processes = Processes()
        self.stepper = Stepper()
        self.memory_format = torch.contiguous_format
        self.fused_optimizers = False
        self.compiled = False
        self.recording = False
        self.graphs: UpdateGraphs | None = None
        self._factories = {
            "generator": generator_optimizer,
            "discriminator": discriminator_optimizer,
        }
        self._schedules = {"generator": generator_schedule, "discriminator": discriminator_schedule}
        self._updates = {"generator": 0, "discriminator": 0}
        self._observations = Observations()

    # ------------------------------------------------------------------ overridden by subclasses

    def play(self, reals: list[Batch]) -> None:
        """Runs the updates of one step.

        Args:
            reals: ``critic_steps`` batches of real data, images in [-1, 1].
        """
        raise NotImplementedError

    def critics(self) -> dict[str, Critic]:
        """Returns the discriminators with their losses and regularizers, by domain of images."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises ConfigError if the parts contradict the paper."""

    def phase(self, objective: Objective, update: Update) -> Hashable:
        """Returns what decides on the operations of an update, besides the shapes of its batch.

        As long as it stays the same, an update that is recorded as a CUDA graph can be replayed.
        """
        critics = self.critics().values()
        return (objective.__name__, *(critic.phase(update) for critic in critics))

    def critic_steps_at(self, iteration: int) -> int:
        """Returns the discriminator updates of the step after ``iteration`` finished steps."""
        return steps(iteration) if callable(steps := self.critic_steps) else steps

    def batch_size_at(self, images_seen: int, batch_size: int) -> int:
        """Returns the global batch size of the next critic update; by default ``batch_size``."""
        return batch_size

    def optimizer_settings(self, player: Player, defaults: dict[str, Any]) -> dict[str, Any]:
        """Returns the settings of a player's optimizer in the next step.

        Args:
            player: the player that the optimizer updates.
            defaults: settings that the optimizer was made with.
        """
        return {"lr": defaults["lr"] * self._schedules[player](self.iteration)}

    def forget_updates(self) -> None:
        """Drops recorded updates: the networks have changed."""
        if self.graphs is not None:
            self.graphs.forget()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Runs one step, updates the counters and the average, and logs when a point is due."""
        self._begin_step()
        reals = split(with_floats(batch, self.memory_format), self.critic_steps_at(self.iteration))
        self.play(reals)
        self._end_step(len(batch["image"]) * self._world, len(reals[-1]["image"]) * self._world)

    def step(self, player: Player, objective: Objective, batch: Batch) -> Batch:
        """Updates a player and applies the constraints on its weights; returns what it kept."""
        kept = self.update(player, objective, batch)
        self.constrain(player)
        return kept

    def update(
        self, player: Player, objective: Objective, batch: Batch, lazy: bool = False
    ) -> Batch:
        """Updates one player: zero_grad, backward, step, strictly in this order.

        The players share one GradScaler, which changes its scale at each step. One player's step
        must therefore never come between the backward and the step of the other.

        Args:
            player: the player to update; the other player's weights get no gradient.
            objective: maps an :class:`Update` to the loss to minimize.
            batch: real data, images in [-1, 1].
            lazy: whether this is a separate update for lazy regularizers, part of the last one.

        Returns:
            The tensors that the objective kept, those of all parts concatenated.
        """
        opponent: Player = "discriminator" if player == "generator" else "generator"
        optimizer, whole = self._optimizer(player), self._new_update(player, batch, lazy)
        with frozen(weights_of(self._optimizer(opponent))):
            optimizer.zero_grad()
            outcome = self._differentiated(objective, whole)
            self.stepper.step(optimizer, lambda: self._limit_gradient(player, optimizer, whole))
        self._updates[player] += 0 if lazy else 1
        self._observations.watch(outcome.loss)
        whole.observe(f"{player}/loss", outcome.loss)
        return outcome.kept

    def observe(self, name: str, value: Tensor | float) -> None:
        """Records a scalar for this step's log point; of several updates, the last is logged."""
        if self.observing:
            self._observations.add(name, value)

    @property
    def observing(self) -> bool:
        """Whether the values of this step are logged."""
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return every > 0 and (self.iteration + 1) % every == 0

    def constrain(self, player: Player) -> None:
        """Applies the constraints on a player's weights after its update."""
        for critic in self.critics().values():
            critic.constrain(player)

    def adjust(self, reals: list[Batch]) -> None:
        """Adapts the augmentations to the logits of this step's reals, and records their state."""
        images = sum(len(real["image"]) for real in reals) * self._world
        for critic in self.critics().values():
            critic.augment.adjust(images, self.images_seen + images, self.reduce_mean)
            for name, value in critic.augment.values().items():
                self.observe(f"augment/{critic.prefix}{name}", value)

    def publish(self, values: dict[str, Any]) -> None:
        """Logs values at the current step to all loggers and adds them to ``callback_metrics``.

        Tensors are averaged over the processes; plain numbers must be equal on all of them.
        """
        values = {"images_seen": self.images_seen} | values
        point = as_numbers(values, self.device, self.reduce_mean)
        for logger in self.trainer.loggers:
            logger.log_metrics(point, step=self.iteration)
        self.trainer.callback_metrics.update({k: torch.tensor(v) for k, v in point.items()})

    def reduce_mean(self, value: Tensor) -> Tensor:
        """Returns the mean of a tensor over the processes; a collective."""
        return cast(Tensor, self.trainer.strategy.reduce(value, reduce_op="mean"))

    def assert_finite(self) -> None:
        """Raises DivergenceError if any loss since the last call was not finite.

        Called only at logged steps, because reading the flag synchronizes with the device.
        """
        # A collective decision: if one process raised alone, the others would hang waiting for it.
        agreed = self.trainer.strategy.reduce_boolean_decision
        self._observations.assert_finite(self.iteration, agreed)

    def assert_worth_saving(self) -> None:
        """Raises DivergenceError if a loss or a weight is not finite, before a checkpoint is saved.

        The weights are checked as well: a gradient can be infinite although the loss is finite.
        """
        self.assert_finite()
        assert_finite_weights(self, self.iteration)

    # ------------------------------------------------------------------ Lightning's hooks

    def configure_optimizers(self) -> list[Optimizer]:
        """Returns the optimizers of the generator and the discriminator, in this order."""
        return [self.make_optimizer(player) for player in self.players]

    def make_optimizer(self, player: Player) -> Optimizer:
        """Returns the optimizer of a player."""
        return optimizer_of(self.players[player], self._factories[player], self.fused_optimizers)

    def on_train_start(self) -> None:
        """Starts the stopwatch and applies the configured optimizer settings.

        Loading a checkpoint restores the settings it was saved with; a resumed run may have been
        configured with other ones.
        """
        for optimizer in self.trainer.optimizers:
            adopt_state(optimizer)
        self.processes.start(self.players)
        self.stepper.start(self.trainer, self)
        if self.recording:
            self.graphs = UpdateGraphs(CudaRecorder(self.device), self._discard)
        self.stopwatch.lap(self.images_seen)
        self.stopwatch.start()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Restarts the stopwatch; Lightning calls this after the callbacks of the step."""
        self.processes.agreement.end_step()
        self.stopwatch.start()

    def on_train_end(self) -> None:
        """Ends the exchange between the processes, and drops recorded updates."""
        self.processes.end()
        self.graphs = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the counters, the training time and the lasting values, as plain numbers."""
        checkpoint["progress"] = {
            "iteration": self.iteration,
            "images_seen": self.images_seen,
            "updates": dict(self._updates),
            "seconds": self.stopwatch.seconds,
            "lasting": {n: float(value) for n, value in self._observations.lasting.items()},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the counters, the training time and the lasting values."""
        progress = checkpoint["progress"]
        self.iteration = progress["iteration"]
        self.images_seen = progress["images_seen"]
        self._updates = dict(progress["updates"])
        self.stopwatch.set(progress["seconds"])
        lasting = {name: torch.tensor(v) for name, v in progress["lasting"].items()}
        self._observations = Observations(lasting)

    # ------------------------------------------------------------------ internals

    @property
    def players(self) -> dict[Player, nn.Module]:
        """The networks of both players."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def _world(self) -> int:
        return int(self.trainer.world_size)

    def _begin_step(self) -> None:
        for player in self.players:
            self._adapt(player)
        # Layers that draw random numbers (dropout) use the global generators.
        key = mix(self.seed, Stream.LAYERS, self.iteration, self.trainer.global_rank)
        seed_layers(key, self.device)

    def _end_step(self, images: int, generator_images: int) -> None:
        observing = self.observing
        self.stepper.count()
        self.images_seen += images
        self.iteration += 1
        self.processes.average_statistics()
        if self.average is not None:
            self.average.update(self.generator, generator_images, self.images_seen)
        if observing:
            self.assert_finite()
            self.publish(self._observations.taken() | self.stopwatch.lap(self.images_seen))
        self.stopwatch.stop()

    def _differentiated(self, objective: Objective, update: Update) -> Outcome:
        """Leaves an update's gradients, those of all processes, at the weights of its player."""
        player = update.player
        if self.graphs is None or not self._recordable(objective, update):
            outcome = self._passes(objective, True, update)
        else:
            kind, passes = self.phase(objective, update), partial(self._passes, objective, False)
            outcome = self.graphs.run(update, kind, passes, weights_of(self._optimizer(player)))
            self.processes.open(player)
        self.processes.close(player)
        return outcome

    def _passes(self, objective: Objective, announced: bool, update: Update) -> Outcome:
        """Accumulates the gradients of an update over its parts.

        Args:
            objective: maps each part to its loss.
            announced: whether the exchange of gradients may begin in the last backward pass.
            update: the update.
        """
        losses, parts = [], update.split(min(self.accumulate, len(update.batch["image"])))
        for part in parts:
            derivatives = derivable(part, self.critics()) if self.compiled else nullcontext()
            with derivatives, parametrize.cached():  # normalized weights are computed once
                loss = objective(part)
            loss = loss if part.share == 1 else loss * part.share
            if announced and part is parts[-1]:
                self.processes.open(update.player)
            self.stepper.backward(loss)
            losses.append(loss.detach())
        for critic in self.critics().values():
            critic.settle(update.player)
        return Outcome(sum(losses[1:], losses[0]), joined([part.kept for part in parts]))

    def _recordable(self, objective: Objective, update: Update) -> bool:
        # A method of the model depends on the update alone; a closure may hold other tensors.
        own = getattr(objective, "__self__", None) is self
        if not own or update.observing or self.stepper.watched:
            return False
        # An exchange with other processes within the passes would be recorded as well.
        alone, critics = self._world == 1, self.critics().values()
        return all(c.foreseeable() and (alone or not c.exchanges(update)) for c in critics)

    def _discard(self) -> None:
        for critic in self.critics().values():
            critic.discard()

    def _limit_gradient(self, player: Player, optimizer: Optimizer, update: Update) -> None:
        if self.clip_norm is not None or self.observing:
            update.observe(f"{player}/gradient_norm", clipped(optimizer, self.clip_norm))

    def _new_update(self, player: Player, batch: Batch, lazy: bool) -> Update:
        # Updates are counted over the run, not within the step, so no two updates share draws.
        number = self._updates[player] - lazy
        key = mix(self.seed, Stream.TRAINING, int(player == "generator"), number)
        key = mix(key, Substream.LAZY) if lazy else key
        noise = Noise(key, len(batch["image"]), self.device, self.trainer.global_rank, self._world)
        seen, observing = self.images_seen, self.observing and not lazy
        return Update(player, number, batch, noise, seen, self._observations, observing, lazy)

    def _optimizer(self, player: Player) -> Optimizer:
        return self.trainer.optimizers[0 if player == "generator" else 1]

    def _adapt(self, player: Player) -> None:
        optimizer = self._optimizer(player)
        settings = self.optimizer_settings(player, optimizer.defaults)
        for group in optimizer.param_groups:
            group.update(settings)
        self.observe(f"{player}/learning_rate", float(settings["lr"]))
