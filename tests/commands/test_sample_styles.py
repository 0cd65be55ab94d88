"""What `ganforge sample` offers for style-based models, on a run that was really made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ganforge
from ganforge.callbacks.pictures.grid import picture
from ganforge.cli import run
from ganforge.commands.sample_styles import style_bands, style_mix
from ganforge.commands.train import train
from ganforge.data.images import to_uint8
from ganforge.networks.layers.styles import NoiseInput
from tests.support.configs import tiny


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two steps of a model with classes, of full size; returns its log folder."""
    logs = tmp_path_factory.mktemp("styles") / "logs"
    large_steps = ["optimizer.generator.lr=0.1", "model.average.ramp=null"]
    labelled = ["data.num_classes=3", "condition=embedding"]
    cfg = tiny(
        "model=stylegan",
        "model.growth.start_size=16",
        "trainer.max_steps=2",
        *labelled,
        *large_steps,
    )
    cfg.model.average.half_life = 0
    cfg.log_dir = str(logs)
    train(cfg)
    return logs


def load(logs):
    return ganforge.load(logs / "train" / "latest")


def sample(logs, *more) -> int:
    return run(["sample", f"log_dir={logs}", *more])


@pytest.mark.parametrize("noise", ["const", "random", "none"])
def test_the_noise_is_chosen(trained, tmp_path, noise):
    assert sample(trained, "n=3", "seed=1", f"noise={noise}", f"out={tmp_path / 'a.npz'}") == 0
    model = load(trained)
    assert model.noise == "random"
    model.noise = noise
    expected = to_uint8(model.sample(3, seed=1)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["images"], expected)


def test_styles_are_truncated(trained, tmp_path):
    asked = ["n=6", "noise=const", "truncation=0"]
    assert sample(trained, *asked, f"out={tmp_path / 'mean.npz'}") == 0
    images = np.load(tmp_path / "mean.npz")["images"]
    np.testing.assert_array_equal(images, np.broadcast_to(images[:1], images.shape))
    assert sample(trained, "n=2", "truncation=-0.5") == 0
    assert sample(trained, "n=2", "truncation=1.5") == 2


def test_file_names_contain_the_options(trained):
    assert sample(trained, "n=6", "noise=const", "truncation=0.7", "style_mix=true") == 0
    folder = (trained / "train" / "latest" / "samples").resolve()
    assert (folder / "styles-s0-n6-t0.7-const.png").exists()


def test_the_grid_is_that_of_the_paper(trained, tmp_path):
    """Sources along the top, destinations down the side, each cell of both."""
    asked = ["n=30", "seed=2", "style_mix=true", "noise=const", "class=1"]
    assert sample(trained, *asked, f"out={tmp_path / 'grid.png'}") == 0
    model = load(trained)
    model.noise = "const"
    images, columns = style_mix(model, sources=5, seed=2, label=1)
    assert (columns, len(images)) == (6, 6 * 7)
    drawn = np.asarray(Image.open(tmp_path / "grid.png"))
    np.testing.assert_array_equal(drawn, np.asarray(picture(images, columns)))
    labels = torch.ones(11, dtype=torch.int64)
    plain = to_uint8(model.sample(11, seed=2, labels=labels))
    grid = images.unflatten(0, (7, 6))
    assert not grid[0, 0].any()
    assert torch.equal(grid[0, 1:], plain[:5])
    assert torch.equal(grid[1:, 0], plain[5:])
    ws = model.styles(11, seed=2, labels=labels)
    for row, band in enumerate([slice(0, 2)] * 3 + [slice(2, 4)] * 2 + [slice(4, 6)]):
        for column in range(5):
            mixed = ws[5 + row].clone()
            mixed[band] = ws[column, band]
            expected = to_uint8(model.render(mixed[None], seed=2))[0].int()
            assert (grid[row + 1, column + 1].int() - expected).abs().max() <= 1  # rounding


def test_the_noise_of_a_mixed_image_is_its_destinations(trained):
    model = load(trained)
    for layer in model.average.module.modules():
        if isinstance(layer, NoiseInput):
            nn.init.ones_(layer.scale)
    model.truncation = 0.0  # all styles are one: what is left to differ is noise
    grid = style_mix(model, sources=2)[0].unflatten(0, (7, 3)).int()
    assert (grid[1:, 1:] - grid[1:, :1]).abs().max() <= 1
    assert (grid[1, 0] - grid[2, 0]).abs().max() > 1


@pytest.mark.parametrize(
    ("image_size", "sizes"),
    [
        (1024, [2, 2, 5]),
        (256, [2, 2, 3]),
        (64, [2, 2, 1]),
        (32, [2, 1, 1]),
        (16, [1, 1, 1]),
        (8, [1, 1]),
        (4, [1]),
    ],
)
def test_bands_are_the_papers_from_64_pixels_on(image_size, sizes):
    layers = 2 * (image_size.bit_length() - 2)
    bands = style_bands(layers)
    assert [band.stop - band.start for band in bands] == [2 * size for size in sizes]
    assert [layer for band in bands for layer in range(layers)[band]] == [*range(layers)]


def test_what_makes_no_grid_is_refused(trained, tmp_path, capsys):
    assert sample(trained, "style_mix=true", "n=5") == 2
    assert "must be at least 6, got 5" in capsys.readouterr().err
    assert sample(trained, "style_mix=true", f"out={tmp_path / 'grid.npz'}") == 2
    assert "must end in .png" in capsys.readouterr().err
    assert sample(trained, "noise=pink") == 2
    assert "noise must be one of const, random, none" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_models_without_styles_refuse(tmp_path, capsys):
    cfg = tiny("model=dcgan", "trainer.max_steps=1")
    cfg.log_dir = str(tmp_path / "logs")
    train(cfg)
    for asked in ("style_mix=true", "noise=const"):
        assert sample(tmp_path / "logs", asked) == 2
        message = capsys.readouterr().err
        assert f"{asked}: this run's model (DCGAN) has neither styles nor noise inputs" in message
        assert "model=stylegan" in message
