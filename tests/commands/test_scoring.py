"""`ganforge evaluate` and `ganforge sample` on runs that translate."""

from __future__ import annotations

import json

import pytest

from ganforge.cli import run
from ganforge.commands.train import train
from ganforge.config.compose import compose_config
from ganforge.metrics.features import classifier_training

SMALL = [
    "trainer=cpu",
    "trainer.precision=32-true",
    "trainer.max_steps=2",
    "trainer.log_every_n_steps=1",
    "logger=csv",
    "~callbacks.progress",
    "callbacks.evaluation.n=6",
    "callbacks.samples.count=2",
    "data.image_size=16",
    "data.max_images=20",
    "network.discriminator.layers=1",
]
PIX2PIX = ["model=pix2pix", "network.generator.width=2", "network.discriminator.width=2"]
CYCLEGAN = [
    "model=cyclegan",
    "network.generator.forth.width=2",
    "network.generator.forth.blocks=1",
    "network.discriminator.target.width=2",
    "network.discriminator.target.layers=1",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each game, two steps long; returns their log folders by name."""
    patch = pytest.MonkeyPatch()
    patch.setattr(classifier_training, "LEAST_SEEN", 300)
    root = tmp_path_factory.mktemp("translations")
    patch.setenv("GANFORGE_CACHE", str(root / "cache"))
    # Inception would be asked for over the network.
    patch.setattr("ganforge.metrics.AutoFactory._inception_fits", lambda *_: False)
    for name, overrides in (("pix2pix", PIX2PIX), ("cyclegan", CYCLEGAN)):
        common = SMALL if name == "pix2pix" else SMALL[:-1]
        train(compose_config([*common, *overrides, f"log_dir={root / name}"]))
    yield root
    patch.undo()


def summary(runs, name):
    return json.loads((runs / name / "train" / "latest" / "summary.json").read_text())


def test_a_run_holds_its_scores_from_the_start_and_its_baselines(runs):
    pix2pix, cyclegan = summary(runs, "pix2pix"), summary(runs, "cyclegan")
    paired = ["l1", "psnr", "ssim"]
    baselines = [f"{n}_{kind}_baseline" for kind in ("input", "constant") for n in paired]
    assert sorted(pix2pix["metrics"]) == sorted(paired + baselines)
    assert [point["step"] for point in pix2pix["history"]] == [0, 2]
    names = ["fid_classifier_AtoB", "fid_classifier_BtoA", "cycle_l1_A", "cycle_l1_B"]
    assert {*names} <= cyclegan["history"][0].keys()
    assert cyclegan["best"]["fid_classifier_AtoB"]["step"] == 2
    for name in ("pix2pix", "cyclegan"):
        assert (runs / name / "train" / "latest" / "samples" / "step_0000000.png").exists()


def evaluated(runs, name, out, *more):
    assert run(["evaluate", f"log_dir={runs / name}", f"out={out}", *more]) == 0
    return json.loads((out / "evaluation.json").read_text())["metrics"]


def test_an_evaluation_finds_what_training_found(runs, tmp_path):
    kept = summary(runs, "pix2pix")["metrics"]
    found = evaluated(runs, "pix2pix", tmp_path, "n=6")
    assert found.keys() == kept.keys()
    for name in found:
        assert found[name]["value"] == pytest.approx(kept[name]["value"], rel=0.05), name
    assert found["l1_input_baseline"]["value"] == kept["l1_input_baseline"]["value"]
    assert (found["l1"]["split"], found["l1"]["n_fake"]) == ("test", 6)


def test_scores_that_are_typed_replace_those_of_the_run(runs, tmp_path):
    found = evaluated(runs, "cyclegan", tmp_path, "metrics=[cycle_l1]", "n=4", "split=train")
    assert list(found) == ["cycle_l1_A", "cycle_l1_B"]
    assert found["cycle_l1_A"]["split"] == "train"
    default = evaluated(runs, "cyclegan", tmp_path, "n=6")
    kept = summary(runs, "cyclegan")["metrics"]
    assert default["cycle_l1_B"]["value"] == pytest.approx(kept["cycle_l1_B"]["value"], rel=1e-6)
    assert default.keys() == kept.keys()


def test_what_does_not_fit_is_refused(runs, capsys):
    logs = f"log_dir={runs / 'cyclegan'}"
    assert run(["evaluate", logs, "metrics=[l1]"]) == 2
    assert "these data are not paired" in capsys.readouterr().err
    assert run(["sample", logs]) == 2
    assert "ganforge translate run=latest input=DIR" in capsys.readouterr().err


def test_a_run_that_can_not_be_scored_leaves_no_folder(tmp_path, capsys):
    typed = [*SMALL, *PIX2PIX, f"log_dir={tmp_path}"]
    assert run(["train", *typed, "metrics=[cycle_l1]"]) == 2
    assert "this model only translates AtoB" in capsys.readouterr().err
    assert run(["train", *typed, "data.image_size=8", "metrics=[ssim]"]) == 2
    assert "window of 11 x 11" in capsys.readouterr().err
    assert not list(tmp_path.rglob("config.yaml"))
