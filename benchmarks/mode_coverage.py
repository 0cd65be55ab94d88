"""Mode coverage of nine GANs on two mixtures of Gaussians in the plane, five seeds each.

    uv run --extra plots python benchmarks/mode_coverage.py

Uses two processes with one thread each. Completed cells are stored in
logs/mode_coverage/cells.jsonl, so that an interrupted run resumes. Writes mode_coverage.md and
mode_coverage.png.
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

from ganforge.config.compose import compose_config
from ganforge.metrics.evaluate import EvaluationSettings, GeneratedImages, evaluate
from ganforge.metrics.features.points import PointFactory
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.scores.modes import HighQuality, ModeDivergence, ModesCovered
from ganforge.runs.build import build_parts
from ganforge.runs.trainer import make_trainer

HERE = Path(__file__).parent
CELLS = Path("logs/mode_coverage/cells.jsonl")
SAMPLES = 2500  # the protocol of VEEGAN and PacGAN
SHOWN = 1000
DATA = ("ring8", "grid25")
STEPS = {"ring8": 2800, "grid25": 4500}  # updates of the discriminator

Cell = dict[str, float | str | list[list[float]]]


def adam(momentum: float, second: float) -> list[str]:
    """Returns overrides of both players' betas."""
    players = ("generator", "discriminator")
    return [f"optimizer.{player}.betas=[{momentum},{second}]" for player in players]


def rates(rate: float) -> list[str]:
    """Returns overrides of both players' learning rates."""
    return [f"optimizer.{player}.lr={rate}" for player in ("generator", "discriminator")]


def penalties(data: str, gan: str) -> list[str]:
    """Returns overrides of R1's and R2's gamma (half-cosine decay as in R3GAN) and the warm-up."""
    images = int(0.9 * STEPS[data] * BATCH_SIZE[data])
    values = {"weight": 0.01, "final_weight": 0.000005, "decay_images": images}
    names = [name for name in ("r1", "r2") if any(name in word for word in GANS[gan])]
    chosen = [f"regularizer.{n}.{key}={value}" for n in names for key, value in values.items()]
    # At ring8's learning rate one seed of five moved to a corner within the first updates.
    return chosen + ["schedule.warmup=100"] * (data == "ring8" and bool(names))


# All GANs share the network and the schedule; optimizer, betas and critic steps of the WGANs follow
# their papers. GANs without a gradient penalty saturate in a corner of the square at the learning
# rate of the others and use a smaller one. The grid has three times as many modes as the ring and
# uses larger batches and more steps.
COMMON = ["model=gan", "network=mlp_points", "schedule=cosine", "model.average.half_life=50000"]
LEARNING_RATE = {"ring8": 0.005, "grid25": 0.004}
WITHOUT_PENALTY = [*adam(0.5, 0.99), *rates(0.001)]
BATCH_SIZE = {"ring8": 192, "grid25": 256}
GANS = {
    "minimax": ["loss=minimax", *WITHOUT_PENALTY],
    "nonsaturating": ["loss=nonsaturating", *WITHOUT_PENALTY],
    "least squares": ["loss=least_squares", *WITHOUT_PENALTY],
    "hinge": ["loss=hinge", *WITHOUT_PENALTY],
    "wasserstein, clipped": [
        "loss=wasserstein",
        "optimizer=rmsprop",
        "regularizer=[weight_clip]",
        "model.critic_steps=5",
        *rates(0.001),
    ],
    "wasserstein, gradient penalty": [
        "loss=wasserstein",
        "regularizer=[gradient_penalty]",
        "model.critic_steps=5",
        *adam(0.0, 0.9),
        *rates(0.001),
    ],
    "nonsaturating, R1": ["loss=nonsaturating", "regularizer=[r1]", *adam(0.5, 0.99)],
    "relativistic, R1 and R2": ["loss=relativistic", "regularizer=[r1,r2]", *adam(0.5, 0.99)],
    "packed 2": ["loss=nonsaturating", "model.packing=2", *WITHOUT_PENALTY],
}

# Modes and percentage of high-quality samples: ring8, then grid25.
PUBLISHED = {
    "GAN (VEEGAN's run)": ("1", "99.3", "3.3", "0.5"),
    "ALI (VEEGAN's run)": ("2.8", "", "15.8", ""),
    "Unrolled GAN (VEEGAN's run)": ("7.6", "35.6", "23.6", "16"),
    "VEEGAN": ("8", "52.9", "24.6", "40"),
    "GAN (PacGAN's run)": ("6.3", "98.2", "17.3", "94.8"),
    "PacGAN2": ("7.9", "95.6", "23.8", ""),
    "PacGAN4": ("7.8", "", "24.8", "93.6"),
}


def overrides(data: str, gan: str, seed: int) -> list[str]:
    """Returns the command-line overrides of one cell."""
    steps = STEPS[data] // 5 if "model.critic_steps=5" in GANS[gan] else STEPS[data]
    settings = [f"data={data}", f"data.batch_size={BATCH_SIZE[data]}", f"seed={seed}"]
    settings += [f"trainer.max_steps={steps}", *rates(LEARNING_RATE[data])]
    return [*COMMON, *settings, *GANS[gan], *penalties(data, gan)]


def train(data: str, gan: str, seed: int) -> Cell:
    """Trains and scores one cell through Trainer, engine and data module."""
    began = time.process_time()
    chosen = overrides(data, gan, seed)
    cfg = compose_config([*chosen, "trainer=cpu", "trainer.precision=32-true", "callbacks={}"])
    cfg.run_dir = "."
    parts = build_parts(cfg)
    with tempfile.TemporaryDirectory() as folder:
        make_trainer(parts, [], [], Path(folder)).fit(parts.model, parts.data)
    found = evaluate(
        GeneratedImages(lambda n, start: parts.model.sample(n, seed=1, start=start)),
        RealFeatures(parts.data, PointFactory().build(parts.data, torch.device("cpu"))),
        {"modes": ModesCovered(), "high_quality": HighQuality(), "mode_kl": ModeDivergence()},
        EvaluationSettings(SAMPLES, 0, batch_size=500),
    )
    points = parts.model.sample(SHOWN, seed=1).flatten(1)
    cell: Cell = {"data": data, "gan": gan, "seed": seed, "command": " ".join(chosen)}
    cell |= {name: result.value for name, result in found.items()}
    cell |= {"steps": parts.model.iteration, "images_seen": parts.model.images_seen}
    cell["seconds"] = round(time.process_time() - began, 1)
    return cell | {"points": [[round(x, 4) for x in point] for point in points.tolist()]}


def finished() -> dict[str, Cell]:
    """Returns the completed cells by their command."""
    if not CELLS.exists():
        return {}
    return {cell["command"]: cell for cell in map(json.loads, CELLS.read_text().splitlines())}


def run(requested: list[tuple[str, str, int]], workers: int) -> None:
    """Trains the missing cells and appends each to the file when it completes."""
    done = finished()
    missing = [cell for cell in requested if " ".join(overrides(*cell)) not in done]
    CELLS.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        for future in as_completed([pool.submit(train, *cell) for cell in missing]):
            cell = future.result()
            with CELLS.open("a") as file:
                file.write(json.dumps(cell) + "\n")
            print("  ".join(f"{k} {v}" for k, v in cell.items() if k != "points"), flush=True)


def spread(cells: list[Cell], key: str, digits: int, scale: float = 1.0) -> str:
    """Returns mean ± standard deviation over seeds."""
    values = [scale * float(cell[key]) for cell in cells]  # type: ignore[arg-type]
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def table(cells: list[Cell]) -> str:
    """Returns a Markdown table with one row per GAN, followed by published figures."""
    heads = [f"{data} {what}" for data in DATA for what in ("modes", "high quality %", "KL")]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * 7 + "|"]
    for gan in GANS:
        row = [gan]
        for data in DATA:
            own = [cell for cell in cells if (cell["data"], cell["gan"]) == (data, gan)]
            columns = (("modes", 1, 1.0), ("high_quality", 1, 100.0), ("mode_kl", 2, 1.0))
            row += [spread(own, *column) if own else "" for column in columns]
        lines.append(f"| {' | '.join(row)} |")
    for paper, (ring, ring_good, grid, grid_good) in PUBLISHED.items():
        lines.append(f"| *{paper}, published* | {ring} | {ring_good} | | {grid} | {grid_good} | |")
    return "\n".join(lines)


def report(cells: list[Cell], requested: int) -> str:
    """Returns the protocol and the table."""
    seconds = sum(float(cell["seconds"]) for cell in cells)  # type: ignore[arg-type]
    return (
        f"`uv run --extra plots python benchmarks/mode_coverage.py`: {len(cells)} of "
        f"{requested} runs, {seconds / 60:.0f} minutes of CPU time in two processes, on "
        f"{platform.machine()}, torch {torch.__version__}.\n\n"
        f"Mean ± standard deviation over {len({cell['seed'] for cell in cells})} seeds of "
        f"{SAMPLES:,} samples of the averaged generator. A mode is covered if it is the nearest "
        "mode of a high-quality sample; high quality means within 3 standard deviations. KL is the "
        "divergence of the histogram of nearest modes from the real one. All GANs have the same "
        "networks (network=mlp_points), batches, number of discriminator updates, and cosine "
        "decay of the learning rate. GANs with R1 use Adam (0.5, 0.99) at the learning rate below, "
        "those without penalty at 0.001, because their samples otherwise end in a corner of the "
        "square; the two Wasserstein GANs use five critic steps, and RMSprop or Adam (0, 0.9) at "
        "0.001. "
        + "; ".join(
            f"{data}: {STEPS[data]:,} updates at {LEARNING_RATE[data]}, batch {BATCH_SIZE[data]}"
            for data in DATA
        )
        + ". Gamma of R1 and R2 decays from 0.01 to 0.000005; on ring8 their learning rates warm "
        "up over the first 100 updates, without which one seed of five ended in a corner. Learning "
        "rates, betas and gamma were tuned for the relativistic GAN, and the learning rate without "
        "penalty was chosen from 0.0003, 0.001 and the rate with penalty for the nonsaturating "
        "GAN, on one seed; nothing else was tuned. Published figures are of other networks, "
        "trained for far longer.\n\n"
    ) + table(cells)


def plot(cells: list[Cell]) -> None:
    """Plots the samples of the first seed: one row per data set, one column per GAN."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(DATA), len(GANS), figsize=(2 * len(GANS), 5.2))
    for row, data in zip(axes, DATA, strict=True):
        for axis, gan in zip(row, GANS, strict=True):
            axis.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), xticks=[], yticks=[], aspect="equal")
            if data == DATA[0]:
                axis.set_title(gan.replace(", ", ",\n"), fontsize=8)
            own = [c for c in cells if (c["data"], c["gan"], c["seed"]) == (data, gan, 0)]
            for cell in own:
                axis.plot(*zip(*cell["points"], strict=True), ".", ms=1.5, alpha=0.4)  # type: ignore[misc]
                axis.set_xlabel(
                    f"{cell['modes']:.0f} modes, {cell['high_quality']:.0%}", fontsize=8
                )
    figure.tight_layout(h_pad=1.5)
    figure.savefig(HERE / "mode_coverage.png", dpi=110)


def main() -> None:
    """Trains all cells and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", nargs="*", default=list(DATA), choices=DATA)
    parser.add_argument("--gans", nargs="*", default=list(GANS), choices=list(GANS))
    parser.add_argument("--dry", action="store_true", help="only tabulate completed cells")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    # Without this, torch looks for a GPU driver at every optimizer step.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # Seed by seed, so that an interrupted run has results of every GAN.
    seeds = range(arguments.seeds)
    requested = [(d, g, s) for s in seeds for d in arguments.data for g in arguments.gans]
    if not arguments.dry:
        run(requested, arguments.workers)
    commands = [" ".join(overrides(*cell)) for cell in requested]
    done = finished()
    cells = [done[command] for command in commands if command in done]
    print(table(cells))
    if len(requested) == arguments.seeds * len(DATA) * len(GANS):
        (HERE / "mode_coverage.md").write_text(report(cells, len(requested)) + "\n")
        plot(cells)


if __name__ == "__main__":
    main()
