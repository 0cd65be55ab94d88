import pytest
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

from ganforge.errors import ConfigError
from ganforge.metrics.evaluate import check_enough
from ganforge.metrics.scores import prdc as module
from ganforge.metrics.scores.prdc import (
    Coverage,
    Density,
    Points,
    Precision,
    Recall,
    balls,
    precision_recall_density_coverage,
)
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images

NAMES = ("precision", "recall", "density", "coverage")


def rows(n, width, seed, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(n, width, generator=generator, dtype=torch.float64)


def four(real, fake, k=3):
    return precision_recall_density_coverage(real, fake, [k])[k]


def line(*places):
    return torch.tensor(places, dtype=torch.float64)[:, None]


def test_points_on_a_line_by_hand():
    # Balls to the nearest neighbour: reals reach 1, 1 and 4 far, generated ones 0.5, 0.5, 9.5.
    numbers = four(line(0, 1, 5), line(0.25, 0.75, 10.25), k=1)
    assert numbers["precision"] == pytest.approx(2 / 3)  # 10.25 is 5.25 from 5
    assert numbers["recall"] == 1  # 5 is in the ball of 10.25, 0 and 1 are within 0.5 of others
    # 0.25 is within 1 of 0 and of 1, 0.75 too; 5 reaches to 1, so neither; 10.25 is in none.
    assert numbers["density"] == pytest.approx(4 / 3)
    assert numbers["coverage"] == pytest.approx(2 / 3)


def test_the_rim_belongs_to_balls_of_precision_and_recall_alone():
    # Reals reach 2 far, and the generated point at -2 is on the rim of the ball around 0.
    numbers = four(line(0, 2), line(-2, -100), k=1)
    assert numbers["precision"] == 0.5
    assert numbers["density"] == 0
    assert numbers["coverage"] == 0


def test_a_set_against_itself():
    values = rows(60, 4, 1)
    assert four(values, values) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


TIED = {  # equal distances, where a strict inequality leaves too few inside
    "duplicates": rows(12, 3, 1).repeat(6, 1),
    "one point": torch.ones(20, 4, dtype=torch.float64),
    "a grid": torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0)).double(),
    "corners": torch.eye(9, dtype=torch.float64),
    "some duplicates": torch.cat([rows(30, 3, 1), rows(30, 3, 1)[:7]]),
    "tiny": 1e-30 * rows(40, 3, 1),
    "huge": 1e30 * rows(40, 3, 1),
}


@pytest.mark.parametrize("name", list(TIED))
@pytest.mark.parametrize("k", [1, 3, 5])
def test_any_set_is_all_its_own(name, k):
    values = TIED[name]
    shuffled = values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))]
    assert four(values, shuffled, k) == dict.fromkeys(NAMES, 1)


def test_without_ties_rims_count_nothing():
    found = balls(Points(rows(200, 5, 1)), [3])[0]
    assert found.rims[:, 0].eq(0).all()


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_the_scale_of_features_changes_nothing(scale):
    real, fake = rows(90, 4, 1), rows(90, 4, 2, 0.8)
    assert four(real * scale, fake * scale) == pytest.approx(four(real, fake))


def test_sets_far_apart():
    assert set(four(rows(50, 4, 1), rows(50, 4, 2) + 100).values()) == {0.0}


def test_quality_and_variety_are_distinguished():
    real = rows(400, 3, 1)
    narrow, wide = four(real, rows(400, 3, 2, 0.3)), four(real, rows(400, 3, 2, 3.0))
    assert narrow["precision"] > 0.95 > 0.4 > narrow["recall"]
    assert wide["recall"] > 0.95 > 0.6 > wide["precision"]
    assert narrow["density"] > 1 > 0.5 > wide["density"]


def test_coverage_of_equal_distributions_is_as_the_paper_expects():
    # 1 - product of (n - i) / (2 n - i): Naeem et al. 2020, section 3.3. For k = 5 about 1 - 2^-5.
    values = [four(rows(300, 8, 2 * i), rows(300, 8, 2 * i + 1), 5)["coverage"] for i in range(4)]
    assert sum(values) / 4 == pytest.approx(1 - 2**-5, abs=0.015)


@pytest.mark.parametrize("neighbors", [1, 3, 5])
@pytest.mark.parametrize("sizes", [(80, 80), (120, 50)])
def test_precision_and_recall_equal_torch_fidelity(neighbors, sizes):
    real, fake = rows(sizes[0], 40, 1), rows(sizes[1], 40, 2) + 0.1
    expected = prc_features_to_metric(
        fake,
        real,
        prc_neighborhood=neighbors,
        prc_batch_size=100,
        save_cpu_ram=False,
        verbose=False,
    )
    found = four(real, fake, neighbors)
    assert 0 < found["precision"] < 1
    for name in ("precision", "recall"):
        # torch-fidelity averages in float32.
        assert found[name] == pytest.approx(expected[name], rel=1e-6)


def test_order_and_chunks_change_nothing(monkeypatch):
    # Every point several times, so that distances are equal by the hundred.
    real, fake = rows(40, 6, 1).float().repeat(3, 1), rows(30, 6, 2).float()
    fake = torch.cat([fake, real[:30], fake])
    expected = four(real, fake, 4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        ours, theirs = (torch.randperm(n, generator=generator) for n in (len(real), len(fake)))
        assert four(real[ours], fake[theirs], 4) == expected
    monkeypatch.setattr(module, "TILE", 7)
    assert four(real, fake, 4) == expected


def test_distances_of_copies_are_nothing_far_from_the_origin():
    points = Points(rows(20, 50, 1) + 1000)
    distances = points.to_points(slice(0, 20), points)
    assert torch.equal(distances.diagonal(), torch.zeros(20))
    exact = torch.cdist(points.rows, points.rows, compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.allclose(distances.double(), exact.square(), rtol=1e-4)


def test_radii_leave_the_point_itself_out():
    points = Points(line(0, 1, 5))
    nearest, second = (one.radii for one in balls(points, [1, 2]))
    assert nearest.tolist() == [1, 1, 16]
    assert second.tolist() == [25, 16, 25]


def scores(**changes):
    return {
        "precision": Precision(),
        "recall": Recall(),
        "density": Density(),
        "coverage": Coverage(),
    }


def test_scores_share_one_computation(monkeypatch):
    calls = []
    compute = module.precision_recall_density_coverage

    def counted(*args):
        calls.append(args[2])
        return compute(*args)

    monkeypatch.setattr(module, "precision_recall_density_coverage", counted)
    data, fakes = Pictures(noise_images(90)), noise_images(90, seed=1)
    results = evaluate(
        lambda n, start: fakes[start : start + n], data, Glance(), scores(), 90, 0, 20
    )
    assert calls == [[3, 5]]
    assert list(results) == [f"{name}_glance" for name in NAMES]
    extractor = Glance()
    by_hand = compute(extractor(data.images).features, extractor(fakes).features, [3, 5])
    for name, k in zip(NAMES, (3, 3, 5, 5), strict=True):
        result = results[f"{name}_glance"]
        assert result.value == by_hand[k][name]
        assert result.details["neighbors"] == k
        assert result.std is None


def test_fewer_images_than_neighbours_are_refused():
    with pytest.raises(ConfigError, match=r"metrics=density needs at least 6 real .* got 5 and 90"):
        check_enough(scores(), 90, 5)
    with pytest.raises(ConfigError, match="metrics=precision needs at least 4"):
        check_enough(scores(), 3, 90)
    with pytest.raises(ConfigError, match="coverage: neighbors must be at least 1, got 0"):
        Coverage(0)
