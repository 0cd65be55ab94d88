"""Images per second of whole trainings, and what single settings change."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

import torch
from gpu_recipes import RECIPES, UNLOGGED

from gpu_items.journal import Facts, Job
from gpu_items.trainings import Clock, Switch, run_folder, train, with_callback

PAPER256 = "stylegan2_ada_paper256, batch 8"
# As on 8 GPUs with a batch of 256; the counts of launches.py take less memory.
LARGER = {PAPER256: ("data.batch_size=32", 32)}
COMPARED = ("cifar10/biggan", "cifar10/stylegan2_ada", PAPER256, "cyclegan photos 64")

# One thing is changed at a time: a setting, or a global switch of PyTorch.
SETTINGS = {
    "channels_last=false": ["trainer.channels_last=false"],
    "fused=false": ["trainer.fused=false"],
    "deterministic": ["trainer.deterministic=true"],
}
SWITCHES = ("benchmark", "no_benchmark", "tf32", "no_tf32")


def speed(seconds: float) -> list[Job]:
    """Returns a job for each recipe."""
    return [Job(name, partial(_timed, name, seconds)) for name in RECIPES]


def variants(seconds: float) -> list[Job]:
    """Returns a job for each of some recipes and each change."""
    switches = {name: with_callback(Switch, name=name) for name in SWITCHES}
    changes: dict[str, list[str]] = {"none": [], **SETTINGS, **switches}
    return [
        Job(f"{name}: {change}", partial(_timed, name, seconds, overrides))
        for change, overrides in changes.items()
        for name in COMPARED
    ]


def _timed(name: str, seconds: float, more: Sequence[str] = ()) -> Facts:
    """Trains a recipe for some seconds; returns the median time of its steps, memory and size."""
    recipe = RECIPES[name]
    larger, images = LARGER.get(name, ("", recipe.images))
    overrides = [*recipe.overrides, *([larger] if larger else []), *more]
    clock = with_callback(Clock, seconds=seconds)
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
