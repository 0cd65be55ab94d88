"""`ganforge evaluate` and `ganforge sample`, on a run that was really made."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganforge
from ganforge.callbacks.pictures.scatter import scatter
from ganforge.cli import run
from ganforge.commands.train import train
from ganforge.data.images import to_uint8
from ganforge.data.module import ImageDataModule
from ganforge.data.sets.points import Ring8
from ganforge.runs.folder import RunFolder
from tests.support.configs import tiny


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of four steps on fake images; returns its log folder."""
    logs = tmp_path_factory.mktemp("outputs") / "logs"
    large_steps = ["optimizer.generator.lr=0.1", "model.average.ramp=null"]
    cfg = tiny(
        "model=dcgan", "trainer.max_steps=4", "callbacks.checkpoints.every_n_steps=2", *large_steps
    )
    cfg.log_dir = str(logs)
    train(cfg)
    return logs


def sample(logs, out, *more):
    assert run(["sample", f"log_dir={logs}", f"out={out}", *more]) == 0


def test_the_same_seed_gives_the_same_images(trained, tmp_path):
    for name in ("a", "b"):
        sample(trained, tmp_path / f"{name}.npz", "n=5", "seed=3")
    sample(trained, tmp_path / "c.npz", "n=5", "seed=4")
    a, b, c = (np.load(tmp_path / f"{name}.npz")["images"] for name in "abc")
    assert a.shape == (5, 16, 16, 1)
    assert a.dtype == np.uint8
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_a_longer_list_begins_like_a_shorter_one(trained, tmp_path):
    sample(trained, tmp_path / "few.npz", "n=3")
    sample(trained, tmp_path / "many.npz", "n=300")
    few, many = (np.load(tmp_path / f"{name}.npz")["images"] for name in ("few", "many"))
    np.testing.assert_array_equal(few, many[:3])


def test_single_pngs_are_the_pixels_of_the_array(trained, tmp_path):
    sample(trained, tmp_path / "images.npz", "n=4")
    sample(trained, tmp_path / "folder", "n=4")
    array = np.load(tmp_path / "images.npz")["images"]
    files = sorted((tmp_path / "folder").glob("*.png"))
    assert len(files) == 4
    for image, file in zip(array, files, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), image[..., 0])


def test_a_grid_shows_all_images(trained, tmp_path):
    sample(trained, tmp_path / "grid.png", "n=9")
    width, height = Image.open(tmp_path / "grid.png").size
    assert width == height == 3 * 64 + 4 * 2  # 16 pixels enlarged four times, padding of 2


def test_raw_weights_differ_from_the_average(trained, tmp_path):
    sample(trained, tmp_path / "ema.npz", "n=2")
    sample(trained, tmp_path / "raw.npz", "n=2", "weights=raw")
    ema, raw = (np.load(tmp_path / f"{name}.npz")["images"] for name in ("ema", "raw"))
    assert (ema != raw).any()


def test_load_gives_the_images_of_the_command(trained, tmp_path):
    sample(trained, tmp_path / "images.npz", "n=2", "seed=1")
    model = ganforge.load(trained / "train" / "latest")
    images = ((model.sample(2, seed=1).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    expected = np.load(tmp_path / "images.npz")["images"]
    np.testing.assert_array_equal(images.permute(0, 2, 3, 1).numpy(), expected)


def test_an_evaluation_is_written_with_its_protocol(trained, tmp_path, monkeypatch, caplog):
    arguments = [f"log_dir={trained}", "n=64", "metrics=[fid,is]", "features=classifier"]
    for out in ("one", "two"):
        assert "not the images that" not in caplog.text
        assert run(["evaluate", *arguments, f"out={tmp_path / out}"]) == 0
        monkeypatch.setattr(ImageDataModule, "identity", lambda data: [{"images": 1}])
    assert re.search(r"not the images that \S+last.ckpt was trained on: 1 training", caplog.text)
    one, two = (
        json.loads((tmp_path / out / "evaluation.json").read_text()) for out in ("one", "two")
    )
    assert one["metrics"] == two["metrics"]
    fid = one["metrics"]["fid_classifier"]
    assert {"features", "n_real", "n_fake", "split", "resize", "weights", "step"} <= fid.keys()
    assert fid["n_fake"] == 64
    assert fid["n_real"] == 24
    assert fid["step"] == 4
    assert "is_classifier" in one["metrics"]


def test_one_checkpoint_is_scored_where_others_are_missing(trained, tmp_path):
    run_folder = Path(shutil.copytree(RunFolder.find("latest", trained).path, tmp_path / "run"))
    for kind in ("last", "best"):
        (run_folder / "checkpoints" / f"{kind}.ckpt").unlink(missing_ok=True)
    path = run_folder / "checkpoints" / "previous.ckpt"
    assert run(["evaluate", f"run={path}", "n=16", "metrics=[fid]", "features=classifier"]) == 0


def test_checkpoints_are_of_different_steps(trained):
    folder = RunFolder.find("latest", trained)
    steps = [ganforge.load(folder.path, kind).iteration for kind in ("last", "previous")]
    assert steps == [4, 2]


# ---------------------------------------------------------------------- what some models can do


def small_run(tmp_path, *overrides):
    cfg = tiny(*overrides, "trainer.max_steps=1")
    cfg.log_dir = str(tmp_path / "logs")
    train(cfg)
    return tmp_path / "logs"


def test_latents_can_be_truncated(tmp_path):
    logs = small_run(tmp_path, "model=biggan", "condition=none")
    sample(logs, tmp_path / "all.npz", "n=4")
    sample(logs, tmp_path / "some.npz", "n=4", "truncation=0.01")
    model = ganforge.load(logs / "train" / "latest")
    assert model.truncation is None
    model.truncation = 0.01
    for name, expected in (("some", True), ("all", False)):
        images = np.load(tmp_path / f"{name}.npz")["images"]
        same = to_uint8(model.sample(4)).permute(0, 2, 3, 1).numpy() == images
        assert same.all() == expected
    assert run(["sample", f"log_dir={logs}", "n=2", "truncation=0.5"]) == 0
    folder = (logs / "train" / "latest" / "samples").resolve()
    assert (folder / "sample-s0-n2-t0.5.png").exists()
    assert run(["sample", f"log_dir={logs}", "n=2", "truncation=0"]) == 2


def test_other_models_refuse_to_truncate(trained, tmp_path, capsys):
    assert run(["sample", f"log_dir={trained}", "n=2", "truncation=0.5"]) == 2
    message = capsys.readouterr().err
    assert "truncation=0.5: this run's model (DCGAN) has no truncation" in message
    assert "model=biggan" in message


@pytest.fixture(scope="module")
def pointed(tmp_path_factory):
    """A run on points of the plane that is told their modes; returns its log folder."""
    plane = ["model=cgan", "network=mlp_points", "data=ring8", "data.size=100"]
    sizes = ["data.channels=2", "data.image_size=1", "data.batch_size=8"]
    cfg = tiny(*plane, *sizes, "trainer.max_steps=1", "metrics=[label_agreement]")
    cfg.callbacks.evaluation.n = 20
    logs = tmp_path_factory.mktemp("points") / "logs"
    cfg.log_dir = str(logs)
    train(cfg)
    return logs


def test_points_are_written_as_floats(pointed, tmp_path):
    sample(pointed, tmp_path / "points.npz", "n=10")
    sample(pointed, tmp_path / "third.npz", "n=10", "class=3")
    found, third = np.load(tmp_path / "points.npz"), np.load(tmp_path / "third.npz")
    assert (found["points"].dtype, found["points"].shape) == (np.float32, (10, 2))
    assert found["labels"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert third["labels"].tolist() == [3] * 10
    expected = ganforge.load(pointed / "train" / "latest").sample(10).flatten(1)
    np.testing.assert_array_equal(found["points"], expected.numpy())
    np.testing.assert_array_equal(found["points"][3], third["points"][3])


def test_points_are_drawn_as_a_density(pointed, tmp_path):
    sample(pointed, tmp_path / "points.png", "n=10")
    points = ganforge.load(pointed / "train" / "latest").sample(10)
    drawn = np.asarray(Image.open(tmp_path / "points.png"))
    np.testing.assert_array_equal(drawn, np.asarray(scatter(points, Ring8().mixture)))


def test_points_have_no_picture_each(pointed, tmp_path, capsys):
    for out in ("folder", "points.jpg"):
        assert run(["sample", f"log_dir={pointed}", f"out={tmp_path / out}"]) == 2
        assert "2D points are not images" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_modes_of_points_are_their_labels(pointed):
    summary = json.loads((pointed / "train" / "latest" / "summary.json").read_text())
    assert summary["metrics"]["label_agreement"]["features"] == "points"


@pytest.mark.parametrize("features", ["classifier", "inception"])
def test_extractors_of_images_refuse_points(pointed, tmp_path, features, capsys):
    asked = [f"features={features}", "metrics=[fid]", f"out={tmp_path}"]
    assert run(["evaluate", f"log_dir={pointed}", "n=20", *asked]) == 2
    message = capsys.readouterr().err
    assert f"features={features} needs images, and data=ring8 has points" in message
    assert "features=points" in message
