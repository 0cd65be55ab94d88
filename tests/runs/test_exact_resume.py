"""A run that was killed and resumed ends as one that was left alone, bit by bit."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.trainings import SMALL, run_jobs, run_of

CLOCK_COLUMNS = {"seconds", "images_per_second"}
CLOCK_KEYS = {"seconds", "seconds_evaluating", "images_per_second"}

HALF = "trainer.precision=16-mixed"
BF16 = "trainer.precision=bf16-mixed"
WGAN_GP = [
    "model=wgan_gp",
    "model.critic_steps=2",
    "model.accumulate=2",
    "model.clip_norm=0.5",
    "schedule=cosine",
    "schedule.warmup=2",
]
MLP = [  # dropout draws from the global stream
    "model=gan",
    "network.discriminator.dropout=0.3",
    "network.generator.hidden=[8]",
    "network.discriminator.hidden=[8]",
]
ADA = [  # p moves at steps 4 and 8; a checkpoint at 6 holds signs that are not yet counted
    "model=dcgan",
    "augment=ada",
    "augment.p=0.4",
    "augment.speed=400",
]

PGGAN = [  # 4x4 up to 16 images, then a fade of 40, and batches of 4: a checkpoint at 6 lies in it
    "model=pggan",
    "model.growth.stable_images=16",
    "model.growth.fade_images=40",
    "model.growth.batch_sizes=[8,4]",
]
TRANSLATION = [  # SMALL for games from image to image
    "data.image_size=16",
    "data.scale=0.25",
    "data.batch_size=2",
    "data.max_images=9",
    *(o for o in SMALL if o.split("=")[0].startswith(("trainer", "logger", "~"))),
    "callbacks.evaluation.every_n_steps=4",
    "callbacks.evaluation.n=4",
    "callbacks.checkpoints.every_n_steps=3",
    "callbacks.samples.every_n_steps=5",
    "callbacks.samples.count=2",
]
TRANSLATIONS = {
    "pix2pix": [
        "model=pix2pix",
        "metrics=[l1]",
        *TRANSLATION,
        "network.generator.width=4",  # with dropout, before and after the kill
        "network.discriminator.width=4",
        "network.discriminator.layers=1",
    ],
    "cyclegan": [  # pools of 3 are full at the kill, and have given old images back
        "model=cyclegan",
        "metrics=[cycle_l1]",
        *TRANSLATION,
        "network.generator.forth.width=4",
        "network.generator.forth.blocks=1",
        "network.discriminator.target.width=4",
        "network.discriminator.target.layers=1",
        "model.pool_size=3",
    ],
}


def small(*changes: str) -> list[str]:
    networks = [] if "model=gan" not in changes else ["width"]
    return [o for o in SMALL if not any(word in o for word in networks)] + list(changes)


def kill(step: int, inside: bool = False, name: str = "kill") -> list[str]:
    node = f"+callbacks.{name}"
    return [
        f"{node}._target_=tests.support.kill.KillAt",
        f"{node}.step={step}",
        f"{node}.inside={inside}",
    ]


WHOLE = {  # what a run is compared with, and its settings
    "one critic step": small(),
    "five critic steps": small("model.critic_steps=5"),
    "16-mixed": small(HALF, "regularizer=[r1]", "regularizer.r1.every=2"),
    "bf16-mixed": small(BF16),
    "wgan_gp": small(*WGAN_GP),
    "dropout": small(*MLP),
    "ada": small(*ADA),
    "pggan": small(*PGGAN),
    **TRANSLATIONS,
}
KILLED = {  # a name of WHOLE, workers, and where it is killed
    "at a checkpoint": ("one critic step", 0, [kill(6)]),
    "between": ("one critic step", 0, [kill(8)]),
    "at a checkpoint with workers": ("one critic step", 2, [kill(6)]),
    "between with workers": ("one critic step", 2, [kill(8)]),
    "five at a checkpoint": ("five critic steps", 0, [kill(6)]),
    "five between": ("five critic steps", 0, [kill(8)]),
    "five at a checkpoint with workers": ("five critic steps", 2, [kill(6)]),
    "five between with workers": ("five critic steps", 2, [kill(8)]),
    "inside a step": ("five critic steps", 0, [kill(8, inside=True)]),
    "twice": ("one critic step", 2, [kill(5), kill(7, name="again")]),
    "after the last step": ("one critic step", 0, [kill(11)]),
    "16-mixed": ("16-mixed", 0, [kill(8)]),
    "bf16-mixed": ("bf16-mixed", 0, [kill(8)]),
    "wgan_gp": ("wgan_gp", 2, [kill(8)]),
    "dropout": ("dropout", 0, [kill(8)]),
    "ada": ("ada", 0, [kill(7)]),
    "pggan": ("pggan", 0, [kill(8)]),
    "pggan with workers": ("pggan", 2, [kill(8)]),
    "pix2pix": ("pix2pix", 0, [kill(8)]),
    "cyclegan": ("cyclegan", 2, [kill(8)]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    jobs = {f"whole {name}": [overrides] for name, overrides in WHOLE.items()}
    for name, (whole, workers, kills) in KILLED.items():
        deadly = [o for one in kills for o in one]
        start = [*WHOLE[whole], f"data.workers={workers}", *deadly]
        jobs[f"killed {name}"] = [start] + [["resume=latest"]] * len(kills)
    codes = run_jobs(jobs, folder)
    expected = {
        name: [-9] * (len(phases) - 1) + [0] if len(phases) > 1 else [0]
        for name, phases in jobs.items()
    }
    output = (folder / "output.txt").read_text()
    assert codes == expected, output[-5000:]
    return folder


def without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_clocks(v) for k, v in value.items() if k not in CLOCK_KEYS}
    if isinstance(value, list):
        return [without_clocks(item) for item in value]
    return value


def assert_same(ours: Any, theirs: Any, where: str = "") -> None:
    assert type(ours) is type(theirs), where
    if isinstance(ours, dict):
        assert list(ours) == list(theirs), where
        for key in ours:
            assert_same(ours[key], theirs[key], f"{where}/{key}")
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs), where
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_same(*pair, f"{where}/{index}")
    elif isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    else:
        assert ours == theirs or (ours != ours and theirs != theirs), where


def checkpoint(run: Path, kind: str) -> dict[str, Any]:
    loaded = torch.load(run / "checkpoints" / f"{kind}.ckpt", weights_only=True)
    loaded["callbacks"] = {k: v for k, v in loaded["callbacks"].items() if "Kill" not in k}
    loaded = without_clocks(loaded)
    del loaded["loops"]  # Lightning's; how many batches there were is in global_step
    for kept in ("config", "resolved"):
        del loaded[kept]["data"]["workers"]  # of no matter
    return loaded


def metrics(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in CLOCK_COLUMNS} for row in rows]


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_and_resumed_run_ends_bit_equal(folder, name):
    whole, ours = run_of(folder, f"whole {KILLED[name][0]}"), run_of(folder, f"killed {name}")
    for kind in ("last", "previous", "best"):
        assert_same(checkpoint(ours, kind), checkpoint(whole, kind), kind)
    assert metrics(ours) == metrics(whole)
    summaries = [json.loads((run / "summary.json").read_text()) for run in (ours, whole)]
    for key in ("status", "step", "images_seen", "metrics", "best", "history"):
        assert without_clocks(summaries[0][key]) == without_clocks(summaries[1][key]), key
    for grid in sorted((whole / "samples").glob("*.png")):
        assert (ours / "samples" / grid.name).read_bytes() == grid.read_bytes(), grid.name


@pytest.mark.parametrize("name", WHOLE)
def test_the_runs_compared_are_what_they_are_meant_to_be(folder, name):
    run = run_of(folder, f"whole {name}")
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    critic_steps = {"five critic steps": 5, "wgan_gp": 2}.get(name, 1)
    assert state["progress"]["iteration"] == state["global_step"] == 11
    images = {"pggan": 3 * 8 + 8 * 4, "pix2pix": 22, "cyclegan": 22}
    assert state["progress"]["images_seen"] == images.get(name, 11 * 8 * critic_steps)
    assert ("MixedPrecision" in state) == (name == "16-mixed")
    summary = json.loads((run / "summary.json").read_text())
    first = [0] if name in TRANSLATIONS else []  # they are scored before training too
    assert [point["step"] for point in summary["history"]] == [*first, 4, 8, 11]
    score = {"pix2pix": "l1", "cyclegan": "cycle_l1_A"}.get(name, "fid_small")
    values = [point[score] for point in summary["history"]]
    assert len(set(values)) == len(first) + 3
    rows = metrics(run)
    assert [int(row["step"]) for row in rows] == [*first, 2, 4, 6, 8, 10, 11]
    assert all(row["images_seen"] for row in rows)


def test_the_probability_of_augmentation_is_resumed(folder):
    runs = [run_of(folder, name) for name in ("killed ada", "whole ada")]
    states = [checkpoint(run, "last")["state_dict"] for run in runs]
    assert torch.equal(*[state["augment.p"] for state in states])
    for run in runs:
        moved = [float(row["augment/p"]) for row in metrics(run) if row["augment/p"]]
        # 4 steps of 8 images over 400 are 0.08; D takes nearly all reals for real, so p rises.
        assert moved == pytest.approx([0.4, 0.48, 0.48, 0.56, 0.56])


def test_growth_is_resumed_in_the_middle_of_a_fade(folder):
    """24 images after 3 steps, 8 of them in the fade of 40; then 4 at each step."""
    for name in ("killed pggan", "killed pggan with workers", "whole pggan"):
        rows = metrics(run_of(folder, name))
        levels = [float(row["growth/level"]) for row in rows if row["growth/level"]]
        assert levels == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_the_pools_of_generated_images_are_resumed(folder):
    for name in ("killed cyclegan", "whole cyclegan"):
        pools = checkpoint(run_of(folder, name), "last")["pools"]
        assert {len(pool) for pool in pools.values()} == {3}


def test_a_resumed_run_stays_in_its_folder(folder):
    for name in KILLED:
        runs = list((folder / f"killed {name}" / "train").glob("20*/*"))
        assert len(runs) == 1
        assert not list(runs[0].rglob("*.tmp.*"))
