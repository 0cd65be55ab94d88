"""Trainings on a null GPU: they run, never wait for it, and ask no more of it than was recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ganforge.paths import conf_dir
from tests.nullcuda.build import missing
from tests.nullcuda.machine import Machine

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import launches
from gpu_recipes import RECIPES, STEPS_ONLY, UNLOGGED, fake

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

RECORDED = ("dcgan digits 32", "wgan_gp digits 32", "cifar10/biggan", "cyclegan photos 64")
DISTRIBUTED = "dcgan digits 32"
SLACK = 1.02  # versions of PyTorch differ by a few launches
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
COLOR = ("sngan", "sagan", "biggan", "r3gan")
MODELS = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))


def recorded(name: str) -> dict[str, float]:
    """Returns the last counts of a recipe in benchmarks/launches.csv."""
    row = [row for row in launches.read() if row["recipe"] == name][-1]
    return {field: float(row[field] or 0) for field in row if field not in ("commit", "recipe")}


@pytest.fixture(scope="module")
def counted() -> dict[str, dict[str, Any]]:
    steps = [*STEPS_ONLY, UNLOGGED, "trainer=gpu", "trainer.max_steps=32"]
    jobs = {name: [*steps, *RECIPES[name].overrides] for name in RECORDED}
    return Machine().count_all(jobs)


@pytest.mark.parametrize("name", RECORDED)
def test_a_step_asks_no_more_of_the_gpu_than_was_recorded(name, counted):
    counts, most = counted[name], recorded(name)
    assert "error" not in counts, counts["error"]
    assert 100 < counts["operations"] <= SLACK * most["operations"]
    assert 0 < counts["peak_bytes"] / 2**20 <= SLACK * most["peak_mib"]


@pytest.mark.parametrize("name", RECORDED)
def test_the_host_never_waits_for_one_gpu(name, counted):
    assert counted[name]["synchronizations"] == 0, counted[name]["places"]


@pytest.mark.parametrize("graphs", [False, True])
def test_two_gpus_exchange_no_more_than_was_recorded(tmp_path, graphs):
    overrides = [*STEPS_ONLY, UNLOGGED, *RECIPES[DISTRIBUTED].overrides, "trainer=ddp"]
    overrides.append(f"trainer.cuda_graphs={graphs}")
    ranks = Machine(devices=2).count(
        [*overrides, "trainer.max_steps=32", f"run_dir={tmp_path}/run"], cwd=tmp_path
    )
    most = recorded(f"{DISTRIBUTED}, 2 GPUs")
    assert [rank["rank"] for rank in ranks] == [0, 1]
    for rank in ranks:
        assert rank["synchronizations"] <= most["synchronizations"], rank["places"]
        assert rank["collectives"] <= most["collectives"], rank["places"]
        assert 0 < rank["collective_bytes"] <= SLACK * most["collective_bytes"]
        assert rank["operations"] <= (100 if graphs else SLACK * most["operations"])
        assert rank["counts"]["graph_launches"] == (2 if graphs else 0)


def overrides_of(model: str) -> list[str]:
    """Returns the overrides of a model with data that need no download."""
    data = {"pix2pix": ["data=photos_paired"], "cyclegan": ["data=photos_unpaired"]}
    data |= {name: fake(32, 10, 8) for name in COLOR}
    return [f"model={model}", *data.get(model, ["data=digits", "data.batch_size=8"])]


def test_every_model_trains_in_every_precision():
    steps = [*STEPS_ONLY, "trainer=gpu", "trainer.max_steps=3", "trainer.log_every_n_steps=2"]
    jobs = {
        f"{model} {precision}": [*steps, *overrides_of(model), f"trainer.precision={precision}"]
        for model in MODELS
        for precision in PRECISIONS
    }
    results = Machine(steps=(1, 3)).count_all(jobs)
    assert {name: row["error"] for name, row in results.items() if "error" in row} == {}
    assert all(row["operations"] > 50 for row in results.values())


def test_growing_players_are_recorded_at_every_size():
    growth = ["model.growth.stable_images=160", "model.growth.fade_images=80"]
    steps = [*STEPS_ONLY, UNLOGGED, "trainer=gpu", "trainer.max_steps=24"]
    several = ["model.critic_steps=5", "data.batch_size=8", "trainer.cuda_graphs=true"]
    jobs = {"pggan": ["model=pggan", "data=digits", *growth, *several, *steps]}
    row = Machine(steps=(22, 24)).count_all(jobs)["pggan"]
    assert row["counts"]["graph_launches"] == 6, row.get("error")
    assert row["counts"]["conv"] == 0


def test_updates_of_every_model_are_recorded_and_replayed():
    steps = [*STEPS_ONLY, UNLOGGED, "trainer=gpu", "trainer.max_steps=24"]
    jobs = {
        f"{model} {precision}": [
            *steps,
            *overrides_of(model),
            f"trainer.precision={precision}",
            "trainer.cuda_graphs=true",
        ]
        for model in MODELS
        for precision in PRECISIONS[1:]
    }
    results = Machine(steps=(22, 24)).count_all(jobs)
    assert {name: row["error"] for name, row in results.items() if "error" in row} == {}
    for name, row in results.items():
        counts = row["counts"]
        assert counts["graph_launches"] >= 2, name
        assert counts["captured"] == counts["conv"] == counts["blas"] == 0, name
        assert row["operations"] < 150, name
