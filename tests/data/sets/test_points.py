from __future__ import annotations

import math
from itertools import islice

import pytest
import torch

from ganforge.data.sets.points import Grid25, Mixture, Ring8
from ganforge.errors import ConfigError
from tests.data.stand_in import attach, first, joined


def points(data, n=100_000, split="train"):
    images, labels = data.reals(n, split)
    assert images.shape[1:] == (2, 1, 1)
    assert images.dtype == torch.float32
    return images.flatten(1), labels


@pytest.mark.parametrize(("kind", "modes", "factor"), [(Ring8, 8, 0.8), (Grid25, 25, 0.2)])
def test_points_lie_about_the_centres_of_the_protocol(kind, modes, factor):
    data = kind()
    found, labels = points(data)
    sigma = factor * {8: 0.01, 25: 0.05}[modes]
    assert data.mixture.sigma == pytest.approx(sigma)
    apart = found - data.mixture.centres[labels]
    # Of 200,000 normal numbers the deviation is known to 1/sqrt(400,000), the mean to twice that.
    assert float(apart.std()) == pytest.approx(sigma, rel=0.01)
    assert abs(float(apart.mean())) < 0.01 * sigma
    shares = torch.bincount(labels, minlength=modes) / len(labels)
    assert shares.sub(1 / modes).abs().max() < 5 * math.sqrt(1 / modes / len(labels))


def test_the_ring_has_eight_centres_on_a_circle_and_the_grid_25_in_a_square():
    ring = Ring8().mixture.centres
    torch.testing.assert_close(ring.norm(dim=1), torch.full((8,), 0.8))
    torch.testing.assert_close(ring[2], torch.tensor([0.0, 0.8]))
    grid = Grid25().mixture.centres
    assert sorted({round(float(x), 4) for x in grid.flatten()}) == [-0.8, -0.4, 0.0, 0.4, 0.8]
    assert len({tuple(row) for row in grid.tolist()}) == 25


def test_points_are_the_same_for_every_seed_and_splits_differ():
    train, _ = points(Ring8(seed=0))
    again, _ = points(Ring8(seed=5))
    test, _ = points(Ring8(), split="test")
    assert torch.equal(train, again)
    assert len(test) == 10_000
    assert not torch.equal(train[:10_000], test)
    assert Ring8().fingerprint("train") != Ring8(sigma=0.02).fingerprint("train")


def test_the_stream_keeps_floats_and_resumes_exactly():
    data = Grid25(size=640, seed=3)
    module = attach(data, critic_steps=2)
    whole = first(data, 6)
    assert whole[0]["image"].dtype == torch.float32
    assert whole[0]["label"].dtype == torch.int64
    assert len(joined(whole).flatten(1).unique(dim=0)) == 640  # two and a half epochs
    loader = data.train_dataloader()
    module.images_seen, module.iteration = 4 * 256, 4
    for batch, expected in zip(islice(loader, 2), whole[4:], strict=True):
        assert torch.equal(batch["image"], expected["image"])


def test_labels_are_the_modes_or_none():
    found, labels = points(Grid25(size=500))
    mixture = Grid25().mixture
    assert torch.equal(mixture.log_density(found).argmax(1), labels)
    assert points(Grid25(size=500, num_classes=0))[1] is None


def test_drawing_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    Ring8(size=200).setup()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_log_densities_are_squared_distances_in_deviations():
    mixture = Mixture(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), sigma=0.5)
    found = mixture.log_density(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    expected = torch.tensor([[0.0, -25 / 0.5], [-1 / 0.5, -18 / 0.5]])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 8}, "image_size=1, channels=2 and mirror=false, got 8"),
        ({"mirror": True}, "mirror=false, got 1, 2 and True"),
        ({"num_classes": 10}, "num_classes must be 0 or 8 with data=ring8, got 10"),
        ({"sigma": 0.0}, "sigma must be above 0, got 0.0"),
        ({"size": 1}, "size must be an integer of at least 2, got 1"),
    ],
)
def test_unsuitable_settings_of_points_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Ring8(**changes)
