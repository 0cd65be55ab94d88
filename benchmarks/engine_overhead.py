"""Compares a DCGAN-32 step through Trainer and callbacks with a hand-written loop.

    uv run python benchmarks/engine_overhead.py

Both use the same networks (64 base filters), batch size 64, Adam, new fakes for each player's
update, float32 on the CPU. The engine runs as in training: Trainer, data module, moving average,
progress, metrics.csv, checkpoints and grids at their intervals (no evaluation, which is not part of
a step). Both run alternately, a few steps at a time, so that both run under the same load. Prints
the table and writes engine_overhead.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from handwritten_dcgan import HandwrittenDCGAN
from lightning.pytorch import Callback

from ganforge.callbacks.interruption import Interruption
from ganforge.callbacks.run_summary import RunSummary
from ganforge.config.compose import compose_config
from ganforge.console import setup_logging
from ganforge.runs.build import build_parts
from ganforge.runs.trainer import make_trainer

HERE = Path(__file__).parent
BATCH, WIDTH = 64, 64


class Alternation(Callback):
    """Runs the hand-written loop after every few steps of the engine and times both."""

    def __init__(self, loop: HandwrittenDCGAN, rounds: int, steps: int, warmup: int) -> None:
        self.loop = loop
        self.rounds = rounds
        self.steps = steps
        self.warmup = warmup
        self.engine: list[float] = []
        self.by_hand: list[float] = []
        self.done = 0
        self.started = 0.0

    def on_train_start(self, trainer, pl_module) -> None:  # type: ignore[no-untyped-def]
        """Starts the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:  # type: ignore[no-untyped-def]
        """Ends a round of the engine and runs one of the hand-written loop."""
        self.done += 1
        if self.done % self.steps:
            return
        now = time.perf_counter()
        engine_seconds = now - self.started
        for _ in range(self.steps):
            self.loop.step()
        by_hand = time.perf_counter() - now
        if self.done > self.warmup * self.steps:
            self.engine.append(engine_seconds / self.steps)
            self.by_hand.append(by_hand / self.steps)
        if len(self.engine) == self.rounds:
            trainer.should_stop = True
        self.started = time.perf_counter()


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10, help="steps per round")
    arguments = parser.parse_args()
    setup_logging(quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        cfg = compose_config(
            [
                "model=dcgan",
                "network=dcgan",
                "optimizer=adam_dcgan",
                "augment=none",
                "data=fake",
                "data.image_size=32",
                "data.channels=3",
                f"data.batch_size={BATCH}",
                f"network.generator.width={WIDTH}",
                f"network.discriminator.width={WIDTH}",
                "trainer=cpu",
                "trainer.precision=32-true",
                "trainer.fused=false",
                "trainer.max_steps=100000",
                "logger=csv",
                "metrics=[]",
                f"run_dir={folder}",
            ]
        )
        parts = build_parts(cfg)
        images, _ = parts.data.reals(parts.data.size("train"))
        loop = HandwrittenDCGAN(images, BATCH, WIDTH, fresh_fakes=True)
        alternation = Alternation(loop, arguments.rounds, arguments.steps, warmup=2)
        from ganforge.runs.load import build

        loggers = [build(node) for node in cfg.logger.values()]
        callbacks = [*parts.callbacks.values(), RunSummary({}), Interruption(), alternation]
        trainer = make_trainer(parts, loggers, callbacks, Path(folder))
        trainer.fit(parts.model, parts.data)
    report(alternation, arguments.steps)


def report(alternation: Alternation, steps: int) -> None:
    """Prints and writes the medians and the ratio of each pair of rounds."""
    ratios = [a / b for a, b in zip(alternation.engine, alternation.by_hand, strict=True)]
    engine, by_hand = statistics.median(alternation.engine), statistics.median(alternation.by_hand)
    lines = [
        "| DCGAN-32, batch 64, 64 filters, float32 | milliseconds per step (median) | images/s |",
        "|---|---:|---:|",
        f"| hand-written loop | {1000 * by_hand:.1f} | {BATCH / by_hand:.0f} |",
        f"| ganforge: Trainer, engine, callbacks | {1000 * engine:.1f} | {BATCH / engine:.0f} |",
        "",
        f"Ratio of paired rounds: median {statistics.median(ratios):.3f}, "
        f"from {min(ratios):.3f} to {max(ratios):.3f} ({len(ratios)} rounds of {steps} steps).",
        "",
        f"`uv run python benchmarks/engine_overhead.py` on {platform.machine()}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}.",
    ]
    print("\n".join(lines))
    (HERE / "engine_overhead.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
