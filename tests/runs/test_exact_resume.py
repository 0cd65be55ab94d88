"""A run that was killed and resumed ends as one that was left alone, bit by bit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from tests.support.same_runs import assert_same, checkpoint, metrics, without_clocks
from tests.support.trainings import SMALL, run_jobs, run_of

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
    "between with workers": ("one critic step", 2, [kill(8)]),
    "inside a step": ("five critic steps", 0, [kill(8, inside=True)]),
    "twice": ("one critic step", 2, [kill(5), kill(7, name="again")]),
    "after the last step": ("one critic step", 0, [kill(11)]),
    "16-mixed": ("16-mixed", 0, [kill(8)]),
    "bf16-mixed": ("bf16-mixed", 0, [kill(8)]),
    "wgan_gp": ("wgan_gp", 2, [kill(8)]),
    "dropout": ("dropout", 0, [kill(8)]),
    "ada": ("ada", 0, [kill(7)]),
    "pggan with workers": ("pggan", 2, [kill(8)]),
    "pix2pix": ("pix2pix", 0, [kill(8)]),
    "cyclegan": ("cyclegan", 2, [kill(8)]),
}
MORE = {  # other combinations of what KILLED has
    "at a checkpoint with workers": ("one critic step", 2, [kill(6)]),
    "five at a checkpoint": ("five critic steps", 0, [kill(6)]),
    "five between": ("five critic steps", 0, [kill(8)]),
    "five at a checkpoint with workers": ("five critic steps", 2, [kill(6)]),
    "five between with workers": ("five critic steps", 2, [kill(8)]),
    "pggan": ("pggan", 0, [kill(8)]),
}
Kills = dict[str, tuple[str, int, list[list[str]]]]


def train_all(folder: Path, whole: Iterable[str], killed: Kills) -> Path:
    jobs = {f"whole {name}": [WHOLE[name]] for name in whole}
    for name, (compared, workers, kills) in killed.items():
        deadly = [o for one in kills for o in one]
        start = [*WHOLE[compared], f"data.workers={workers}", *deadly]
        jobs[f"killed {name}"] = [start] + [["resume=latest"]] * len(kills)
    codes = run_jobs(jobs, folder)
    expected = {name: [-9] * (len(phases) - 1) + [0] for name, phases in jobs.items()}
    output = (folder / "output.txt").read_text()
    assert codes == expected, output[-5000:]
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return train_all(tmp_path_factory.mktemp("runs"), WHOLE, KILLED)


@pytest.fixture(scope="module")
def more(tmp_path_factory) -> Path:
    compared = dict.fromkeys(whole for whole, _, _ in MORE.values())
    return train_all(tmp_path_factory.mktemp("more"), compared, MORE)


def assert_equal_runs(ours: Path, whole: Path) -> None:
    for kind in ("last", "previous", "best"):
        assert_same(checkpoint(ours, kind), checkpoint(whole, kind), kind)
    assert metrics(ours) == metrics(whole)
    summaries = [json.loads((run / "summary.json").read_text()) for run in (ours, whole)]
    for key in ("status", "step", "images_seen", "metrics", "best", "history"):
        assert without_clocks(summaries[0][key]) == without_clocks(summaries[1][key]), key
    for grid in sorted((whole / "samples").glob("*.png")):
        assert (ours / "samples" / grid.name).read_bytes() == grid.read_bytes(), grid.name


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_and_resumed_run_ends_bit_equal(folder, name):
    whole = run_of(folder, f"whole {KILLED[name][0]}")
    assert_equal_runs(run_of(folder, f"killed {name}"), whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_other_killed_and_resumed_runs_end_bit_equal(more, name):
    whole = run_of(more, f"whole {MORE[name][0]}")
    assert_equal_runs(run_of(more, f"killed {name}"), whole)


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
    for name in ("killed pggan with workers", "whole pggan"):
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
