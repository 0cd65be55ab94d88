"""Compares a step of the smallest game through Trainer and callbacks with a bare loop.

    uv run python benchmarks/small_game.py

``model=gan network=mlp_points data=ring8`` on one thread: what the engine adds to a step is large
against the networks. The bare loop makes the same updates with the same networks, losses and
optimizers, on reals that lie ready, without moving average or log. Both run alternately, and the
processor time of the thread is measured. Prints the table and writes small_game.md.
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.nn.functional import softplus

from ganforge.callbacks.interruption import Interruption
from ganforge.callbacks.run_summary import RunSummary
from ganforge.config.compose import compose_config
from ganforge.console import setup_logging
from ganforge.runs.build import build_parts
from ganforge.runs.load import build
from ganforge.runs.trainer import make_trainer

HERE = Path(__file__).parent


class BareLoop:
    """The updates of the game, and nothing else."""

    def __init__(self, model: Any, reals: Tensor, batch: int) -> None:
        self.generator = copy.deepcopy(model.generator)
        self.discriminator = copy.deepcopy(model.discriminator)
        self.optimizers = [
            model._factories["generator"](self.generator.parameters()),
            model._factories["discriminator"](self.discriminator.parameters()),
        ]
        self.reals, self.batch, self.latent_dim = reals, batch, self.generator.latent_dim
        self.rows = torch.Generator().manual_seed(0)

    def step(self) -> None:
        """Updates the discriminator, then the generator."""
        chosen = torch.randint(len(self.reals), (self.batch,), generator=self.rows)
        real, of_generator, of_discriminator = self.reals[chosen], *self.optimizers
        with torch.no_grad():
            fake = self.generator(torch.randn(self.batch, self.latent_dim))
        of_discriminator.zero_grad()
        loss = softplus(-self.discriminator(real)).mean()
        loss = loss + softplus(self.discriminator(fake)).mean()
        loss.backward()
        of_discriminator.step()
        self.discriminator.requires_grad_(False)
        of_generator.zero_grad()
        fake = self.generator(torch.randn(self.batch, self.latent_dim))
        softplus(-self.discriminator(fake)).mean().backward()
        of_generator.step()
        self.discriminator.requires_grad_(True)


class Alternation(Callback):
    """Runs the bare loop after every few steps of the engine and times both."""

    def __init__(self, loop: BareLoop, rounds: int, steps: int) -> None:
        self.loop, self.rounds, self.steps, self.done = loop, rounds, steps, 0
        self.engine: list[float] = []
        self.bare: list[float] = []
        self.started = 0.0

    def on_train_start(self, trainer, pl_module) -> None:  # type: ignore[no-untyped-def]
        """Starts the clock."""
        self.started = time.thread_time()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:  # type: ignore[no-untyped-def]
        """Ends a round of the engine and runs one of the bare loop."""
        self.done += 1
        if self.done % self.steps:
            return
        now = time.thread_time()
        for _ in range(self.steps):
            self.loop.step()
        if self.done > self.steps:  # the first round warms up
            self.engine.append(1000 * (now - self.started) / self.steps)
            self.bare.append(1000 * (time.thread_time() - now) / self.steps)
        trainer.should_stop = len(self.engine) == self.rounds
        self.started = time.thread_time()


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100, help="steps per round")
    arguments = parser.parse_args()
    setup_logging(quiet=True)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        typed = ["model=gan", "network=mlp_points", "data=ring8", "trainer=cpu", "logger=csv"]
        typed += ["trainer.max_steps=1000000", "trainer.precision=32-true", "metrics=[]"]
        cfg = compose_config([*typed, f"run_dir={folder}"])
        parts = build_parts(cfg)
        reals, _ = parts.data.reals(parts.data.size("train"))
        alternation = Alternation(
            BareLoop(parts.model, reals, parts.data.batch_size), arguments.rounds, arguments.steps
        )
        loggers = [build(node) for node in cfg.logger.values()]
        callbacks = [*parts.callbacks.values(), RunSummary({}), Interruption(), alternation]
        make_trainer(parts, loggers, callbacks, Path(folder)).fit(parts.model, parts.data)
    report(alternation)


def report(alternation: Alternation) -> None:
    """Prints and writes the medians and the difference of each pair of rounds."""
    added = [a - b for a, b in zip(alternation.engine, alternation.bare, strict=True)]
    lines = [
        "| gan, mlp_points, ring8, float32, one thread | ms of processor time per step (median) |",
        "|---|---:|",
        f"| bare loop of the same updates | {statistics.median(alternation.bare):.2f} |",
        f"| ganforge: Trainer, engine, callbacks | {statistics.median(alternation.engine):.2f} |",
        "",
        f"Added to a step: median {statistics.median(added):.2f} ms, from {min(added):.2f} to "
        f"{max(added):.2f} ({len(added)} rounds of {alternation.steps} steps).",
        "",
        f"`uv run python benchmarks/small_game.py` on {platform.machine()}, torch "
        f"{torch.__version__}.",
    ]
    print("\n".join(lines))
    (HERE / "small_game.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
