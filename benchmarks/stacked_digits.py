"""Mode coverage of three small DCGANs on stacked digits, which have 1,000 modes.

    uv run python benchmarks/stacked_digits.py

Uses two processes with one thread each. Completed cells are stored in
logs/stacked_digits/cells.jsonl, so that an interrupted run resumes. Writes stacked_digits.md and
stacked_digits.png.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import mean, stdev

import torch
from PIL import Image, ImageDraw

from ganforge.callbacks.pictures.grid import picture
from ganforge.config.compose import compose_config
from ganforge.metrics.evaluate import EvaluationSettings, GeneratedImages, evaluate
from ganforge.metrics.features.stacked import StackedFactory
from ganforge.metrics.real_features import RealFeatures, Sample
from ganforge.metrics.scores.modes import ModeDivergence, ModesCovered
from ganforge.runs.build import Parts, build_parts
from ganforge.runs.trainer import make_trainer

HERE = Path(__file__).parent
LOGS = HERE.parent / "logs" / "stacked_digits"
CELLS = LOGS / "cells.jsonl"
STEPS = 3000  # updates of each player
BATCH_SIZE = 32
SAMPLES = 10_000  # as many real images form the reference histogram of modes
SHOWN = 64
GAMMA = 0.3
REAL = "real images"  # disjoint from the reference images: the result of a perfect generator

Cell = dict[str, float | str]
Job = tuple[str, int, int, int]  # gan, seed, steps, samples

# Shared by all GANs. Gradient penalties on single images rule out batch norm in the discriminator,
# so no GAN has it. The discriminator has half the generator's width and no instance noise: with
# both as in model=dcgan, all GANs cover 980 modes or more and do not differ.
COMMON = [
    "model=dcgan",
    "data=stacked_digits",
    f"data.batch_size={BATCH_SIZE}",
    "network.generator.width=16",
    "network.discriminator.width=8",
    "augment=none",
    "network.discriminator.norm=none",
]
GANS = {
    "plain": ["loss=nonsaturating"],
    "packed 2": ["loss=nonsaturating", "model.packing=2"],
    "relativistic, R1 and R2": [
        "loss=relativistic",
        "regularizer=[r1,r2]",
        f"regularizer.r1.weight={GAMMA}",
        f"regularizer.r2.weight={GAMMA}",
    ],
}

# Modes and KL on stacked MNIST, 26,000 samples.
PUBLISHED = {
    "DCGAN (VEEGAN's run)": ("99", "3.40"),
    "ALI (VEEGAN's run)": ("16", "5.40"),
    "Unrolled GAN (VEEGAN's run)": ("48.7", "4.32"),
    "VEEGAN": ("150", "2.95"),
    "DCGAN (PacGAN's run)": ("78.9 ± 6.5", "4.50"),
    "PacDCGAN2": ("1000", "0.06"),
    "PacDCGAN3": ("1000", "0.06"),
    "PacDCGAN4": ("1000", "0.07"),
    "GAN, R1 and R2 (R3GAN's run)": ("693", "0.93"),
    "relativistic, R1 and R2 (R3GAN's run)": ("1000", "0.08"),
}


def overrides(gan: str, seed: int, steps: int) -> list[str]:
    """Returns the command-line overrides of one cell."""
    return [*COMMON, f"seed={seed}", f"trainer.max_steps={steps}", *GANS.get(gan, [])]


def key(job: Job) -> str:
    """Returns a unique key of a cell."""
    gan, seed, steps, samples = job
    return f"{gan}: {' '.join(overrides(gan, seed, steps))}: {samples} samples"


def grid_path(job: Job) -> Path:
    """Returns the path of the sample grid of a cell."""
    gan, *numbers = job
    name = gan.replace(",", "").replace(" ", "_")
    return LOGS / f"{name}_{'_'.join(map(str, numbers))}.png"


def train(gan: str, seed: int, steps: int) -> Parts:
    """Trains a GAN through Trainer, engine and data module; for real images, only loads them."""
    chosen = overrides(gan, seed, steps)
    cfg = compose_config([*chosen, "trainer=cpu", "trainer.precision=32-true", "callbacks={}"])
    cfg.run_dir = "."
    parts = build_parts(cfg)
    if gan == REAL:
        parts.data.prepare_data()
        parts.data.setup()
        return parts
    with tempfile.TemporaryDirectory() as folder:
        make_trainer(parts, [], [], Path(folder)).fit(parts.model, parts.data)
    return parts


def sampler(gan: str, parts: Parts, samples: int) -> Sample:
    """Returns the image source of a cell; real images follow the reference images."""
    if gan == REAL:
        return lambda n, start: parts.data.reals(n, "train", samples + start)[0] / 127.5 - 1
    return lambda n, start: parts.model.sample(n, seed=1, start=start)


def train_and_score(job: Job) -> Cell:
    """Trains and scores one cell."""
    began = time.process_time()
    gan, seed, steps, samples = job
    parts = train(gan, seed, steps)
    trained = time.process_time()
    sample = sampler(gan, parts, samples)
    scores = {"modes": ModesCovered(), "mode_kl": ModeDivergence()}
    extractor = StackedFactory().build(parts.data, torch.device("cpu"))
    reals, settings = RealFeatures(parts.data, extractor), EvaluationSettings(samples, 0, 500)
    found = evaluate(GeneratedImages(sample), reals, scores, settings)
    picture(sample(SHOWN, 0)).save(grid_path(job))
    cell: Cell = {"key": key(job), "gan": gan, "seed": seed}
    cell |= {name: found[name].value for name in scores}
    cell["accuracy"] = found["modes"].details.get("features_accuracy", float("nan"))
    cell |= {"images_seen": parts.model.images_seen, "training": round(trained - began, 1)}
    return cell | {"seconds": round(time.process_time() - began, 1)}


def finished() -> dict[str, Cell]:
    """Returns the completed cells by key; truncated lines are skipped."""
    cells: dict[str, Cell] = {}
    for line in CELLS.read_text().splitlines() if CELLS.exists() else []:
        try:
            cell = json.loads(line)
            cells[cell["key"]] = cell
        except (ValueError, KeyError):
            print(f"not a cell: {line[:60]!r}")
    return cells


def run(requested: list[Job], workers: int) -> None:
    """Trains the missing cells and appends each to the file when it completes."""
    done = finished()
    missing = [job for job in requested if key(job) not in done or not grid_path(job).exists()]
    missing.reverse()  # longest first (R1 and R2), so that no worker idles
    LOGS.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        futures = {pool.submit(train_and_score, job): job for job in missing}
        for future in as_completed(futures):
            fault = future.exception()
            if fault is not None:  # a diverged GAN does not stop the others
                print(f"failed: {key(futures[future])}: {type(fault).__name__}: {fault}")
                continue
            cell = future.result()
            with CELLS.open("a") as file:
                file.write("\n" * _cut_short() + json.dumps(cell) + "\n")
            print("  ".join(f"{k} {v}" for k, v in cell.items() if k != "key"), flush=True)


def _cut_short() -> bool:
    text = CELLS.read_text() if CELLS.exists() else ""
    return bool(text) and not text.endswith("\n")


def spread(cells: list[Cell], name: str, digits: int) -> str:
    """Returns mean ± standard deviation over seeds."""
    values = [float(cell[name]) for cell in cells]
    if not values:
        return "failed"
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def table(cells: list[Cell], gans: list[str]) -> str:
    """Returns a Markdown table with one row per GAN, followed by published figures."""
    lines = ["| | modes of 1,000 | KL | CPU seconds of training |", "|---|---|---|---|"]
    for gan in [*gans, REAL]:
        own = [cell for cell in cells if cell["gan"] == gan]
        row = [gan, spread(own, "modes", 0), spread(own, "mode_kl", 2)]
        row.append("" if gan == REAL else spread(own, "training", 0))
        lines.append(f"| {' | '.join(row)} |")
    for paper, (modes, divergence) in PUBLISHED.items():
        lines.append(f"| *{paper}, published* | {modes} | {divergence} | |")
    return "\n".join(lines)


def report(cells: list[Cell], gans: list[str], seeds: int, steps: int, samples: int) -> str:
    """Returns the protocol and the table."""
    seconds = sum(float(cell["seconds"]) for cell in cells)
    accuracy = mean(float(cell["accuracy"]) for cell in cells) if cells else float("nan")
    return (
        f"`uv run python benchmarks/stacked_digits.py --steps {steps} --seeds {seeds} --samples "
        f"{samples}`: {seconds / 60:.0f} minutes of CPU time, on {platform.machine()}, torch "
        f"{torch.__version__}.\n\n"
        "Three of scikit-learn's handwritten digits in the channels of a 32x32 image. "
        + (f"Mean ± standard deviation over {seeds} seeds" if seeds > 1 else "One seed")
        + f", {samples:,} samples of the averaged generator, classified channel by channel "
        f"with a digit classifier with {accuracy:.1%} test accuracy. KL is the divergence of the "
        "histogram of modes from that of as many real images, in nats; the row of real images "
        "(disjoint from these) shows the limit at this sample count. All GANs use the same DCGAN "
        "(generator width 16, discriminator width 8), no batch norm in the discriminator, because "
        f"the penalties do not allow it, no instance noise, batches of {BATCH_SIZE}, {steps:,} "
        "updates of each player, and the learning rate of model=dcgan. Gamma of R1 and R2 is "
        f"{GAMMA}. The width of D was chosen so that the plain GAN misses modes: at width 16 and "
        "with instance noise the three covered 980, 992 and 978 modes (one seed). Published "
        "figures are on stacked MNIST, "
        "26,000 samples of other and larger networks, trained for far longer.\n\n"
        "![64 samples of each GAN](stacked_digits.png)\n\n"
    ) + table(cells, gans)


def plot(jobs: list[Job], cells: dict[str, Cell], path: Path) -> None:
    """Draws 64 samples of each GAN and 64 real images side by side, with titles."""
    shown = [(job, cells[key(job)]) for job in jobs if key(job) in cells]
    shown = [(job, cell) for job, cell in shown if grid_path(job).exists()]
    if not shown:
        return
    grids = [Image.open(grid_path(job)).convert("RGB") for job, _ in shown]
    width, height = max(g.width for g in grids), max(g.height for g in grids)
    canvas = Image.new("RGB", (len(grids) * (width + 8) - 8, height + 18), "white")
    pen = ImageDraw.Draw(canvas)
    for place, (grid, (job, cell)) in enumerate(zip(grids, shown, strict=True)):
        left = place * (width + 8)
        pen.text((left + 2, 2), f"{job[0]}: {float(cell['modes']):.0f} modes", fill="black")
        canvas.paste(grid, (left, 18))
    canvas.save(path)


def main() -> None:
    """Trains all cells and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gans", nargs="*", default=list(GANS), choices=list(GANS))
    parser.add_argument("--folder", type=Path, default=HERE, help="folder of the results")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    steps, samples = arguments.steps, arguments.samples
    real = (REAL, 0, 1, samples)
    seeds = range(arguments.seeds)
    requested = [real] + [(gan, seed, steps, samples) for seed in seeds for gan in arguments.gans]
    run(requested, arguments.workers)
    done = finished()
    cells = [done[key(job)] for job in requested if key(job) in done]
    text = report(cells, arguments.gans, arguments.seeds, steps, samples)
    print(table(cells, arguments.gans))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "stacked_digits.md").write_text(text + "\n")
    first = [job for job in [*requested[1:], real] if job[1] == 0]
    plot(first, done, arguments.folder / "stacked_digits.png")


if __name__ == "__main__":
    main()
