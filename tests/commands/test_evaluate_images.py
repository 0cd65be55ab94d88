"""`ganforge evaluate fake=A real=B`, as it is typed."""

import json

import numpy as np
import pytest
import torch

from ganforge.cli import run
from ganforge.commands.train import train
from ganforge.config.command import Command
from ganforge.metrics.scores.frechet import frechet_distance
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import load_run_data
from tests.metrics.small_networks import Means
from tests.support.configs import tiny

FEATURES = [
    "features=module",
    f"features.module={Means.__module__}.Means",
    "features.size=8",
    "features.mean=[0.0]",
    "features.std=[1.0]",
]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    draws = np.random.default_rng(0)
    for name, count, top in (("a", 40, 256), ("b", 60, 200)):
        images = draws.integers(0, top, (count, 8, 8, 3), dtype=np.uint8)
        np.savez_compressed(f"{name}.npz", images=images)


def evaluate(*typed):
    return run(["evaluate", *FEATURES, *typed])


def test_two_sets_are_compared_by_a_number_that_follows_from_their_pixels(tmp_path, capsys):
    asked = ["metrics=[fid,prdc]", "bootstrap=20", "out=results"]
    assert evaluate("fake=a.npz", "real=b.npz", *asked) == 0
    report = json.loads((tmp_path / "results" / "evaluation.json").read_text())
    assert (report["fake"], report["real"]) == ("a.npz", "b.npz")
    fid = report["metrics"]["fid_means"]
    rows = [torch.from_numpy(np.load(f"{x}.npz")["images"] / 255).mean((1, 2)) for x in "ba"]
    gaussians = [part for one in rows for part in (one.mean(0), one.T.cov())]
    assert fid["value"] == pytest.approx(float(frechet_distance(*gaussians)), rel=1e-4)
    assert (fid["n_fake"], fid["n_real"], fid["split"], fid["image_size"]) == (40, 60, "all", 8)
    assert fid["low"] < fid["value"] < fid["high"]
    assert fid["bootstrap"] == 20
    printed = capsys.readouterr().out
    assert "95 %" in printed
    assert all(word in printed for word in ("fid_means", "precision_means", "coverage_means"))


def test_images_are_compared_with_a_named_data_set(tmp_path):
    np.savez_compressed("digits.npz", images=np.load("a.npz")["images"])
    named = ["real=data", "data=digits", "data.image_size=8", "split=test", "metrics=[fid]"]
    assert evaluate("fake=digits.npz", *named, "n=30", "n_real=50") == 0
    fid = json.loads((tmp_path / "evaluation.json").read_text())["metrics"]["fid_means"]
    assert (fid["n_fake"], fid["n_real"], fid["split"]) == (30, 50, "test")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["fake=a.npz", "real=b.npz", "truncation=0.5"], "truncation=0.5: applies to a run"),
        (["fake=a.npz", "real=b.npz", "data=digits"], "real=data needs data=NAME"),
        (["fake=a.npz", "real=data", "data=digits"], "data.image_size=8 loads the real images"),
        (["fake=a.npz", "real=data", "data=ring8"], "has 2D points"),
        (["fake=a.npz", "real=b.npz", "n=50"], "n=50: fake=a.npz has 40 images"),
        (["fake=a.npz", "real=b.npz", "metrics=[intra_fid]"], "external images have none"),
        (
            ["fake=a.npz", "real=b.npz", "metrics=[perceptual_path_length]"],
            "needs the latent space of a generator",
        ),
        (["image_size=8"], "image_size=... is for external images"),
    ],
)
def test_what_does_not_fit_is_refused(typed, message, capsys, tmp_path):
    assert evaluate(*typed) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "evaluation.json").exists()


def test_half_of_it_and_what_is_not_there_are_refused(capsys):
    assert evaluate("fake=a.npz") == 2
    assert "real=... is missing" in capsys.readouterr().err
    assert evaluate("fake=a.npz", "real=nowhere") == 1
    assert "real=nowhere: nowhere does not exist" in capsys.readouterr().err


def test_a_run_is_scored_as_the_images_that_it_draws(tmp_path, capsys):
    cfg = tiny("model=biggan", "condition=none", "trainer.max_steps=1", "data.channels=3")
    cfg.log_dir = "logs"
    train(cfg)
    asked = ["metrics=[fid]", "truncation=0.5", "n=30"]
    assert evaluate(*asked, "n_real=20", "bootstrap=20", "weights=raw", "out=run") == 0
    assert run(["sample", "n=30", "truncation=0.5", "weights=raw", "out=drawn.npz"]) == 0
    reals = load_run_data(RunFolder.find("latest", tmp_path / "logs"), Command()).reals(20)[0]
    np.savez_compressed("reals.npz", images=reals.permute(0, 2, 3, 1).numpy())
    assert evaluate("fake=drawn.npz", "real=reals.npz", "metrics=[fid]", "out=images") == 0
    one, other = (
        json.loads((tmp_path / out / "evaluation.json").read_text())["metrics"]["fid_means"]
        for out in ("run", "images")
    )
    assert one["value"] == pytest.approx(other["value"], rel=1e-6)
    assert (one["truncation"], one["weights"], one["n_real"]) == (0.5, "raw", 20)
    assert one["low"] <= one["value"] <= one["high"]
    assert evaluate(*asked, "truncation=0") == 2
    assert "truncation must be above 0" in capsys.readouterr().err
