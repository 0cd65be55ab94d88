"""Images per second of whole trainings, and what single settings change."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from gpu_recipes import RECIPES, UNLOGGED

from gpu_items.journal import Facts, Job
from gpu_items.trainings import WINDOW, Clock, Switch, run_folder, train, with_callback

PAPER256 = "stylegan2_ada_paper256, batch 8"
# As on 8 GPUs with a batch of 256; the counts of launches.py take less memory.
LARGER = {PAPER256: ("data.batch_size=32", 32)}
COMPARED = ("cifar10/biggan", "cifar10/stylegan2_ada", PAPER256, "cyclegan photos 64")

# One thing is changed at a time: a setting, or a global switch of PyTorch.
SETTINGS: dict[str, list[str]] = {
    "channels_last=false": ["trainer.channels_last=false"],
    "fused=false": ["trainer.fused=false"],
    "deterministic": ["trainer.deterministic=true"],
}
SWITCHES = ("benchmark", "no_benchmark", "tf32", "no_tf32")
# Compilation takes its time, so it has an item of its own, of recipes that are compiled soon. Their
# updates have no penalty on a gradient, which would run uncompiled.
COMPILED = ("dcgan digits 32", "cifar10/sngan")
COMPILATIONS = {
    name: [f"trainer.compile={name.partition('=')[2]}"]
    for name in ("compile=none", "compile=default", "compile=max")
}
# Recipes whose operations are started more slowly than they are computed.
REPLAYED = ("dcgan digits 32", "cifar10/sngan", "cifar10/stylegan2_ada", "cifar10/r3gan, batch 64")
GRAPHS = {name: [f"trainer.{name}"] for name in ("cuda_graphs=false", "cuda_graphs=true")}
NULL = {
    "compile=default": "the null GPU has no compiler of kernels",
    "compile=max": "the null GPU has no compiler of kernels",
}


@dataclass(frozen=True)
class Timing:
    """How trainings are timed.

    Attributes:
        seconds: time to measure, behind a warm-up.
        window: steps that are timed together.
        larger: whether to take the larger batches of LARGER.
    """

    seconds: float
    window: int = WINDOW
    larger: bool = True


def speed(timing: Timing) -> list[Job]:
    """Returns a job for each recipe."""
    return [Job(name, partial(_timed, name, timing)) for name in RECIPES]


def variants(timing: Timing) -> list[Job]:
    """Returns a job for each of some recipes and each change."""
    switches = {name: with_callback(Switch, name=name) for name in SWITCHES}
    return _changed({"none": [], **SETTINGS, **switches}, COMPARED, timing)


def compilations(timing: Timing) -> list[Job]:
    """Returns a job for each of some recipes and each way to compile them."""
    return _changed(COMPILATIONS, COMPILED, timing)


def graphs(timing: Timing) -> list[Job]:
    """Returns a job for each of some recipes as it is written, and one with CUDA graphs."""
    return _changed(GRAPHS, REPLAYED, timing)


def _changed(changes: Mapping[str, list[str]], names: Sequence[str], timing: Timing) -> list[Job]:
    return [
        Job(
            f"{name}: {change}",
            partial(_timed, name, timing, overrides),
            NULL.get(change, ""),
        )
        for change, overrides in changes.items()
        for name in names
    ]


def _timed(name: str, timing: Timing, more: Sequence[str] = ()) -> Facts:
    """Trains a recipe for some seconds; returns the median time of its steps, memory and size."""
    recipe = RECIPES[name]
    larger, images = LARGER.get(name, ("", 0)) if timing.larger else ("", 0)
    images = images or recipe.images
    overrides = [*recipe.overrides, *([larger] if larger else []), *more]
    clock = with_callback(Clock, seconds=timing.seconds, window=timing.window)
    with run_folder() as folder:
        train([*overrides, UNLOGGED, *clock], folder, 1_000_000)
        checkpoint = (folder / "checkpoints" / "last.ckpt").stat().st_size
    times = Clock.latest.milliseconds()
    median = statistics.median(times)
    return {
        "images": images,
        "ms": round(median, 3),
        "least_ms": round(times[0], 3),
        "windows": len(times),
        "images_per_s": round(1000 * images / median, 1),
        "s_per_kimg": round(median / images, 3),
        "peak_mib": torch.cuda.max_memory_allocated() >> 20,
        "checkpoint_mib": checkpoint >> 20,
    }
