"""The peak of a GPU's memory, from the allocator of PyTorch on a null GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.nullcuda.build import missing
from tests.nullcuda.machine import Machine

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from gpu_recipes import STEPS_ONLY, UNLOGGED, fake

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

# The settings that the recipe names for 1024 pixels, with images that stay off the GPU's memory.
OF_1024_PIXELS = [
    "experiment=folder/stylegan2_ada_auto",
    *fake(1024, 0, 4),
    "data.size=16",
    "augment.p=0.3",
    "network.generator.full_width=64",
    "network.discriminator.full_width=64",
]
# All penalties in the first step and, with the state of the optimizers, in the third.
SOON = ["regularizer.r1_lazy.every=2", "regularizer.path_length.every=2", "trainer.max_steps=3"]
PUBLISHED = 8.1  # GiB, by the authors' code (github.com/NVlabs/stylegan2-ada-pytorch)


def test_stylegan2_at_1024_pixels_takes_about_the_memory_of_the_authors_code(tmp_path):
    overrides = [*OF_1024_PIXELS, *SOON, *STEPS_ONLY, UNLOGGED, "trainer=gpu"]
    (counts,) = Machine(steps=(1, 3)).count([*overrides, f"run_dir={tmp_path}/run"], cwd=tmp_path)
    assert 4 < counts["peak_bytes"] / 2**30 <= 1.15 * PUBLISHED
