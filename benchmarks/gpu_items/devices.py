"""What the device does in a step, and how fast it computes scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from gpu_recipes import RECIPES, UNLOGGED
from torchvision.models import inception_v3

from ganforge.metrics.scores.frechet import distance_of_spreads, spread_of_rows
from ganforge.metrics.scores.prdc import precision_recall_density_coverage
from gpu_items.journal import Facts, Job
from gpu_items.trainings import Profiled, run_folder, train, with_callback

PROFILED = (
    "dcgan digits 32",
    "cifar10/biggan",
    "cifar10/stylegan2_ada",
    "cifar10/r3gan, batch 64",
    "cyclegan photos 64",
)
FEATURES = 2048  # of Inception


def profile() -> list[Job]:
    """Returns a job for each of some recipes: kernels of a step and how busy they keep it."""
    reason = "kernels of a null GPU take no time, and it has no CUPTI"
    return [Job(name, partial(_profiled, name), reason) for name in PROFILED]


def _profiled(name: str) -> Facts:
    with run_folder() as folder:
        overrides = [*RECIPES[name].overrides, UNLOGGED, *with_callback(Profiled)]
        train(overrides, folder, 21)
    seen = Profiled.latest
    kernels = [e for e in seen.profile.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    busy = sum(event.device_time_total for event in kernels) / 1e6
    longest = sorted(seen.profile.key_averages(), key=lambda e: -e.self_device_time_total)[:12]
    return {
        "kernels": len(kernels) / seen.steps,
        "busy": round(busy / seen.seconds, 3),
        "ms": round(1000 * seen.seconds / seen.steps, 3),
        "longest_ms": {
            event.key[:80]: round(event.self_device_time_total / 1000 / seen.steps, 4)
            for event in longest
        },
    }


def judge(rows: int = 10_000) -> list[Job]:
    """Returns jobs for the feature extractor's network and for the costly scores.

    Args:
        rows: number of rows of features of the reals and of the fakes.
    """
    reason = "the values of a null GPU have no eigenvalues"
    return [
        Job("Inception, float32", partial(_inception, False)),
        Job("Inception, bf16", partial(_inception, True)),
        Job(f"Frechet distance, {rows:,} rows", partial(_distance, _frechet, rows), reason),
        Job(f"PRDC, {rows:,} rows", partial(_distance, _prdc, rows)),
    ]


def _inception(half: bool, batch: int = 250, batches: int = 8) -> Facts:
    """Times a network of Inception's shape, with random weights."""
    network = inception_v3(weights=None, init_weights=False).cuda().eval()
    images = torch.randn(batch, 3, 299, 299, device="cuda")
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16) if half else nullcontext():
        network(images)
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(batches):
            network(images)
        torch.cuda.synchronize()
    return {"images_per_s": round(batch * batches / (time.perf_counter() - start))}


def _distance(score: Callable[[torch.Tensor, torch.Tensor], object], rows: int) -> Facts:
    reals, fakes = torch.randn(2, rows, FEATURES, device="cuda")
    start = time.perf_counter()
    score(reals, fakes)
    torch.cuda.synchronize()
    return {"score_s": round(time.perf_counter() - start, 2)}


def _frechet(reals: torch.Tensor, fakes: torch.Tensor) -> float:
    return float(distance_of_spreads(spread_of_rows(reals), spread_of_rows(fakes)))


def _prdc(reals: torch.Tensor, fakes: torch.Tensor) -> dict[int, dict[str, float]]:
    return precision_recall_density_coverage(reals, fakes, [5])
