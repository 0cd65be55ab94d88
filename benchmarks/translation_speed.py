"""Compares a step of Pix2Pix and of CycleGAN with hand-written loops.

    uv run python benchmarks/translation_speed.py

128x128 RGB, the published widths (U-Net and six residual blocks at this size), batches of 1 and 4,
Adam, float32 on the CPU. The hand-written loops (handwritten_translation.py) use copies of the same
networks and one fixed batch; the engine runs as in training: Trainer, data module, crops,
augmentation group, metrics.csv, progress (no evaluation and no grids, which are not part of a
step). Both run alternately, so that both run under the same load. Prints the table and writes
translation_speed.md.
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import tempfile
from pathlib import Path

import torch
from engine_overhead import Alternation
from handwritten_translation import HandwrittenCycleGAN, HandwrittenPix2Pix

from ganforge.callbacks.interruption import Interruption
from ganforge.callbacks.run_summary import RunSummary
from ganforge.config.compose import compose_config
from ganforge.console import setup_logging
from ganforge.data.images import to_float
from ganforge.runs.build import build_parts
from ganforge.runs.load import build
from ganforge.runs.trainer import make_trainer

HERE = Path(__file__).parent
LOOPS = {"pix2pix": HandwrittenPix2Pix, "cyclegan": HandwrittenCycleGAN}
DATA = {"pix2pix": "photos_paired", "cyclegan": "photos_unpaired"}
STEPS = {"pix2pix": 6, "cyclegan": 1}  # per round


def measure(model: str, batch: int, size: int, rounds: int, steps: int) -> Alternation:
    """Returns the seconds per step of the engine and of the loop, measured alternately."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = compose_config(
            [
                f"model={model}",
                f"data={DATA[model]}",
                "data.input_channels=3",
                "data.scale=1.0",
                f"data.image_size={size}",
                f"data.batch_size={batch}",
                "trainer=cpu",
                "trainer.precision=32-true",
                "trainer.fused=false",
                "trainer.max_steps=100000",
                "logger=csv",
                "metrics=[]",
                "~callbacks.samples",
                "~callbacks.checkpoints",
                f"run_dir={folder}",
            ]
        )
        parts = build_parts(cfg)
        x, y = (to_float(images) for images in pair(parts.data, batch))
        networks = (copy.deepcopy(parts.model.generator), copy.deepcopy(parts.model.discriminator))
        alternation = Alternation(LOOPS[model](*networks, x, y), rounds, steps, warmup=1)
        loggers = [build(node) for node in cfg.logger.values()]
        callbacks = [*parts.callbacks.values(), RunSummary({}), Interruption(), alternation]
        trainer = make_trainer(parts, loggers, callbacks, Path(folder))
        trainer.fit(parts.model, parts.data)
    return alternation


def pair(data, batch: int):  # type: ignore[no-untyped-def]
    """Returns one batch of inputs and targets, uint8."""
    return data.inputs(batch, "train"), data.reals(batch, "train")[0]


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 4])
    arguments = parser.parse_args()
    setup_logging(quiet=True)
    lines = [
        "| model, batch | hand-written, images/s | ganforge, images/s | time per step, ganforge "
        "/ hand-written: median (range) |",
        "|---|---:|---:|---:|",
    ]
    for model in LOOPS:
        for batch in arguments.batches:
            alternation = measure(model, batch, arguments.size, arguments.rounds, STEPS[model])
            lines.append(row(f"{model}, {batch}", batch, alternation))
            print(lines[-1], flush=True)
    lines += [
        "",
        f"{arguments.size}x{arguments.size} RGB, published widths, float32; medians over "
        f"{arguments.rounds} interleaved rounds of {STEPS['pix2pix']} steps (cyclegan: "
        f"{STEPS['cyclegan']}). `uv run python "
        f"benchmarks/translation_speed.py` on {platform.machine()}, {torch.get_num_threads()} "
        f"threads, torch {torch.__version__}.",
    ]
    print("\n".join(lines))
    (HERE / "translation_speed.md").write_text("\n".join(lines) + "\n")


def row(name: str, batch: int, alternation: Alternation) -> str:
    """Returns a row of the table."""
    ratios = [a / b for a, b in zip(alternation.engine, alternation.by_hand, strict=True)]
    engine, by_hand = statistics.median(alternation.engine), statistics.median(alternation.by_hand)
    return (
        f"| {name} | {batch / by_hand:.2f} | {batch / engine:.2f} | "
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) |"
    )


if __name__ == "__main__":
    main()
