"""Quality over training time: the default recipe compared with a hand-written DCGAN loop.

    uv run --extra plots python benchmarks/quality_per_second.py --root ../shared/data/mnist

Each contender trains alone for the same number of seconds on the same machine; evaluations are not
counted. Scores: Fréchet distance on the features of a digit classifier, 10,000 generated images
against 10,000 training images. Writes quality_per_second.md, .csv and .png, and sample grids.
"""

from __future__ import annotations

import argparse
import csv
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from handwritten_dcgan import HandwrittenDCGAN
from lightning.pytorch import Callback
from torch import Tensor

from ganforge.callbacks.pictures.grid import picture
from ganforge.config.compose import compose_config
from ganforge.console import setup_logging
from ganforge.data.module import ImageDataModule
from ganforge.metrics.evaluate import (
    EvaluationSettings,
    GeneratedImages,
    RealFeatures,
    evaluate,
)
from ganforge.metrics.features.classifier import ClassifierFactory
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.runs.build import build_parts
from ganforge.runs.trainer import make_trainer

HERE = Path(__file__).parent
N = 10_000
Row = dict[str, float | str]


class Evaluator:
    """Scores a contender at given training times; scoring is not counted as training."""

    def __init__(self, data: ImageDataModule, marks: list[float]) -> None:
        self.data = data
        self.marks = marks
        self.extractor = ClassifierFactory().build(data, torch.device("cpu"))
        self.reals = RealFeatures(data, self.extractor)
        self.rows: list[Row] = []

    def evaluate_at(
        self,
        name: str,
        seconds: float,
        images_seen: int,
        sample: Callable[[int, int], Tensor],
    ) -> None:
        """Scores one contender at one mark and stores the row."""
        scores = {"fid": FrechetDistance(), "is": InceptionScore()}
        settings = EvaluationSettings(N, 0, batch_size=250)
        found = evaluate(GeneratedImages(sample), self.reals, scores, settings)
        row: Row = {"contender": name, "seconds": round(seconds, 1), "images_seen": images_seen}
        row |= {key: round(result.value, 3) for key, result in found.items()}
        self.rows.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        if seconds >= 119:
            picture(sample(64, 0)).save(HERE / f"samples_{slug(name)}_{seconds:.0f}s.png")


class Marks(Callback):
    """Runs the evaluator when the engine's training time passes a mark."""

    def __init__(self, evaluator: Evaluator, name: str) -> None:
        self.evaluator = evaluator
        self.name = name
        self.remaining = list(evaluator.marks)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:  # type: ignore[no-untyped-def]
        """Evaluates at each mark and stops the training after the last one."""
        if pl_module.stopwatch.seconds < self.remaining[0]:
            return
        self.remaining.pop(0)

        def sample(n: int, start: int) -> Tensor:
            return pl_module.sample(n, seed=1, start=start)

        seconds, images_seen = pl_module.stopwatch.seconds, pl_module.images_seen
        self.evaluator.evaluate_at(self.name, seconds, images_seen, sample)
        trainer.should_stop = not self.remaining


def ours(evaluator: Evaluator, name: str, overrides: list[str]) -> None:
    """Trains the composed configuration through Trainer, engine and data module."""
    cfg = compose_config([*overrides, "trainer.max_steps=-1", "trainer.max_seconds=100000"])
    cfg.callbacks = {}
    cfg.run_dir = "."
    parts = build_parts(cfg)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(parts, [], [Marks(evaluator, name)], Path(folder))
        trainer.fit(parts.model, parts.data)


def theirs(evaluator: Evaluator, name: str, bf16: bool) -> None:
    """Trains the hand-written loop."""
    images, _ = evaluator.data.reals(evaluator.data.size("train"))
    loop = HandwrittenDCGAN(images, bf16=bf16)
    seconds = 0.0
    for mark in evaluator.marks:
        started = time.perf_counter()
        while seconds + time.perf_counter() - started < mark:
            loop.step()
        seconds += time.perf_counter() - started
        evaluator.evaluate_at(name, seconds, loop.images_seen, loop.sample)


def slug(name: str) -> str:
    """Returns a file name for a contender."""
    return name.replace(" ", "_").replace(",", "").replace("-", "_")


def table(rows: list[Row], marks: list[float]) -> str:
    """Returns a Markdown table with one row per contender and one column per mark."""
    names = list(dict.fromkeys(str(row["contender"]) for row in rows))
    head = "| fid_classifier after | " + " | ".join(f"{mark:.0f} s" for mark in marks)
    lines = [f"{head} | images at the end |", "|---" * (len(marks) + 2) + "|"]
    for name in names:
        own = [row for row in rows if row["contender"] == name]
        cells = " | ".join(f"{row['fid_classifier']:.2f}" for row in own)
        lines.append(f"| {name} | {cells} | {own[-1]['images_seen']:,} |")
    return "\n".join(lines)


def plot(rows: list[Row]) -> None:
    """Plots the curves over seconds and over images seen."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
    for name in dict.fromkeys(str(row["contender"]) for row in rows):
        own = [row for row in rows if row["contender"] == name]
        for axis, key in zip(axes, ("seconds", "images_seen"), strict=True):
            axis.plot([r[key] for r in own], [r["fid_classifier"] for r in own], "o-", label=name)
            axis.set_xlabel(key.replace("_", " "))
            axis.set_yscale("log")
    axes[0].set_ylabel("fid_classifier")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(HERE / "quality_per_second.png", dpi=110)


def main() -> None:
    """Runs all contenders and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, help="folder with MNIST in torchvision's layout")
    parser.add_argument("--marks", default="15,30,60,90,120,180,240,300", help="seconds")
    parser.add_argument("--only", default="", help="ours: skip the hand-written loops")
    parser.add_argument("overrides", nargs="*", help="overrides of the default recipe, for tuning")
    arguments = parser.parse_args()
    setup_logging()
    marks = [float(mark) for mark in arguments.marks.split(",")]
    overrides = ["model=dcgan", "data=mnist", f"data.root={arguments.root}", *arguments.overrides]
    data = build_parts(compose_config([*overrides, "callbacks={}", "run_dir=."])).data
    evaluator = Evaluator(data, marks)
    ours(evaluator, "ganforge default", overrides)
    if arguments.only != "ours":
        theirs(evaluator, "hand-written, fp32", bf16=False)
        theirs(evaluator, "hand-written, bf16", bf16=True)
        with open(HERE / "quality_per_second.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(evaluator.rows[0]))
            writer.writeheader()
            writer.writerows(evaluator.rows)
        command = "uv run --extra plots python benchmarks/quality_per_second.py"
        command += f" --root {arguments.root}"
        text = f"`{command}` on {platform.machine()}, {torch.get_num_threads()} threads, "
        text += f"torch {torch.__version__}, {N:,} images against {N:,}\n\n"
        (HERE / "quality_per_second.md").write_text(text + table(evaluator.rows, marks) + "\n")
        plot(evaluator.rows)
    print(table(evaluator.rows, marks))


if __name__ == "__main__":
    main()
