"""`ganforge translate` on runs that were really made."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import ganforge
from ganforge.cli import run
from ganforge.commands.train import train
from ganforge.config.compose import compose_config
from ganforge.data.images import to_float, to_uint8
from tests.commands.photos import damage, mixed, noise, pixels, written
from tests.data.drawings import save
from tests.support.configs import tiny

SMALL = [
    "data.image_size=16",
    "data.batch_size=2",
    "trainer=cpu",
    "trainer.precision=32-true",
    "trainer.max_steps=1",
    "logger=csv",
    "metrics=[]",
    "~callbacks.evaluation",
    "~callbacks.samples",
    "~callbacks.progress",
]
GENERATOR, DISCRIMINATOR = ["width=4"], ["width=4", "layers=1"]
PAIRED = [
    "model=pix2pix",
    *(f"network.generator.{number}" for number in GENERATOR),
    *(f"network.discriminator.{number}" for number in DISCRIMINATOR),
]
UNPAIRED = [
    "model=cyclegan",
    *(f"network.generator.forth.{number}" for number in [*GENERATOR, "blocks=1"]),
    *(f"network.discriminator.target.{number}" for number in DISCRIMINATOR),
]


def made(logs, *overrides):
    cfg = compose_config([*SMALL, *overrides])
    cfg.log_dir = str(logs)
    train(cfg)
    return logs / "train" / "latest"


@pytest.fixture(scope="module")
def pix2pix(tmp_path_factory):
    return made(tmp_path_factory.mktemp("pix2pix") / "logs", *PAIRED)


@pytest.fixture(scope="module")
def cyclegan(tmp_path_factory):
    return made(tmp_path_factory.mktemp("cyclegan") / "logs", *UNPAIRED)


def translate(path, source, out, *more):
    return run(["translate", f"run={path}", f"input={source}", f"out={out}", *more])


@pytest.mark.parametrize("more", [[], ["tile=16", "overlap=8"]])
def test_a_folder_of_all_kinds_with_a_broken_one(pix2pix, tmp_path, capsys, more):
    truth = mixed(tmp_path / "photos")
    damage(tmp_path / "photos")
    assert translate(pix2pix, tmp_path / "photos", tmp_path / "out", *more) == 1
    message = capsys.readouterr().err
    assert "1 of 13 images could not be translated" in message
    assert "broken.jpg: image file is truncated" in message
    found = {path: pixels(tmp_path / "out" / path).shape for path in written(tmp_path / "out")}
    shapes = sorted((*image.shape[:2], 3) for image in truth.values())
    assert sorted(found.values()) == shapes
    assert found["turned.png"] == (16, 32, 3)
    assert found["line.png"] == (40, 1, 3)


def test_a_file_is_what_the_model_makes_of_it(pix2pix, tmp_path):
    grey = noise(32, 48, 1)[..., 0]
    save(tmp_path / "in" / "a.png", Image.fromarray(grey))
    assert translate(pix2pix, tmp_path / "in", tmp_path / "out", "seed=3", "weights=raw") == 0
    model = ganforge.load(pix2pix)
    inputs = to_float(torch.from_numpy(grey)[None, None])
    expected = to_uint8(model.translate(inputs, weights="raw", seed=3))[0].permute(1, 2, 0)
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "a.png"), expected.numpy())


def test_a_result_depends_only_on_the_image_and_the_seed(pix2pix, tmp_path):
    mixed(tmp_path / "photos")
    single = tmp_path / "photos" / "large.png"
    assert translate(pix2pix, tmp_path / "photos", tmp_path / "all") == 0
    assert translate(pix2pix, single, tmp_path / "one") == 0
    assert translate(pix2pix, single, tmp_path / "other", "seed=1") == 0
    found = {name: pixels(tmp_path / name / "large.png") for name in ("all", "one", "other")}
    np.testing.assert_array_equal(found["all"], found["one"])
    assert (found["one"] != found["other"]).any()  # of the dropout that is its noise


def test_both_ways_of_a_cyclegan(cyclegan, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name, size in {"pixel.png": (1, 1), "b/odd.png": (13, 21)}.items():
            save(tmp_path / "x.png", Image.fromarray(noise(*size)))
            archive.write(tmp_path / "x.png", name)
    for direction in ("AtoB", "BtoA"):
        out = tmp_path / direction
        assert translate(cyclegan, tmp_path / "photos.zip", out, f"direction={direction}") == 0
        assert f"2 images, {direction}, seed 0" in capsys.readouterr().out
        assert written(out) == ["b/odd.png", "pixel.png"]
        assert pixels(out / "b" / "odd.png").shape == (13, 21, 3)
    odd = [pixels(tmp_path / way / "b" / "odd.png") for way in ("AtoB", "BtoA")]
    assert (odd[0] != odd[1]).any()


def test_a_direction_that_was_not_trained(pix2pix, tmp_path, capsys):
    save(tmp_path / "in" / "a.png", Image.fromarray(noise(4, 4)))
    assert translate(pix2pix, tmp_path / "in", tmp_path / "out", "direction=BtoA") == 2
    message = capsys.readouterr().err
    assert "direction=BtoA: this run's model translates only AtoB" in message
    assert not (tmp_path / "out").exists()


def test_a_run_that_generates_from_noise_is_rejected(tmp_path, capsys):
    cfg = tiny("model=gan", "network=mlp", "trainer.max_steps=1")
    cfg.log_dir = str(tmp_path / "logs")
    train(cfg)
    save(tmp_path / "in" / "a.png", Image.fromarray(noise(4, 4)))
    latest = tmp_path / "logs" / "train" / "latest"
    assert translate(latest, tmp_path / "in", tmp_path / "out") == 2
    assert "GAN generates images from noise" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
