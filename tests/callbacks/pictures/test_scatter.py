from __future__ import annotations

import pytest
import torch
from PIL import Image

from ganforge.callbacks.pictures.scatter import (
    MARK,
    SIDE,
    blurred,
    count,
    scatter,
    scatter_of,
    shade,
    to_pixels,
)
from ganforge.callbacks.samples import Samples
from ganforge.data.sets.points import Mixture, Ring8
from ganforge.networks.mlp import MLPDiscriminator, MLPGenerator
from tests.support.games import game, images, trainer_for


def pair(sigma=0.05):
    return Mixture(torch.tensor([[0.5, 0.25], [-0.5, -0.5]]), sigma)


def test_the_first_coordinate_goes_right_and_the_second_up():
    corners = torch.tensor([[-1.0, 1.0], [1.0, -1.0], [0.5, 0.25]])
    assert to_pixels(corners).tolist() == [[0, 0], [SIDE, SIDE], [0.75 * SIDE, 0.375 * SIDE]]


def test_a_density_is_highest_where_the_points_are():
    points = torch.tensor([[0.5, 0.25]] * 9 + [[-0.5, -0.5]])
    density = blurred(count(points))
    assert density.shape == (SIDE, SIDE)
    row, column = divmod(int(density.argmax()), SIDE)
    assert (row, column) == (int(0.375 * SIDE), int(0.75 * SIDE))
    assert float(density.max()) == pytest.approx(9 * float(blurred(count(points[9:])).max()))


def test_what_is_beyond_the_border_or_not_finite_is_left_out():
    points = torch.tensor([[1.5, 0.0], [0.0, -1.0], [float("nan"), 0.0], [float("inf"), 0.0]])
    assert int(count(points).sum()) == 0


def test_shades_go_from_white_to_dark():
    shades = shade(torch.tensor([[0.0, 1.0, 10.0, 1000.0]])).sum(2)[0].tolist()
    assert shades[0] == 3 * 255
    assert shades == sorted(shades, reverse=True)
    assert torch.equal(shade(torch.zeros(2, 2)), torch.full((2, 2, 3), 255, dtype=torch.uint8))


def test_a_ring_of_three_deviations_marks_each_centre():
    picture = scatter(torch.empty(0, 2), pair())
    assert picture.size == (SIDE, SIDE)
    for x, y in ((0.75, 0.375), (0.25, 0.75)):
        radius = 3 * 0.05 / 2
        assert picture.getpixel((round((x + radius) * SIDE), round(y * SIDE))) == MARK
        assert picture.getpixel((round(x * SIDE), round(y * SIDE))) == (255, 255, 255)


def test_points_of_the_plane_are_drawn_and_images_are_not():
    data = Ring8(size=500)

    def reals(n):
        return data.reals(n)[0]

    drawn = scatter_of(data, reals)
    assert drawn is not None
    assert drawn.getpixel((int(0.9 * SIDE), SIDE // 2)) != (255, 255, 255)

    def never(n):
        raise AssertionError

    assert scatter_of(images(), never) is None


def test_a_run_on_points_draws_densities_and_a_film(tmp_path):
    data = Ring8(size=500, batch_size=8)
    players = {
        "generator": MLPGenerator(1, 2, latent_dim=2, hidden=[8]),
        "discriminator": MLPDiscriminator(1, 2, hidden=[8]),
    }
    model = game(**players)
    trainer = trainer_for(model, data, tmp_path, [Samples(every_n_steps=2)], max_steps=4)
    trainer.fit(model, data)
    folder = tmp_path / "samples"
    assert sorted(path.name for path in folder.iterdir()) == [
        "reals.png",
        "step_0000000.png",
        "step_0000002.png",
        "step_0000004.png",
        "training.gif",
    ]
    with Image.open(folder / "step_0000004.png") as drawn:
        assert (drawn.size, drawn.mode) == ((SIDE, SIDE), "RGB")
    with Image.open(folder / "training.gif") as film:
        assert film.n_frames == 3
