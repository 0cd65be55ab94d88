import math

import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance

from ganforge.errors import ConfigError
from ganforge.metrics.moments import Moments, merge, merge_stacked, moments_of, nothing
from ganforge.metrics.scores import frechet
from ganforge.metrics.scores.frechet import (
    FrechetDistance,
    GaussianDistance,
    distance_of_spreads,
    eigenvector_factor,
    frechet_distance,
    spread_of_rows,
    triangular_factor,
)


def rows(n, width, seed):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator, dtype=torch.float64)
    return torch.randn(n, width, generator=generator, dtype=torch.float64) @ mixing + seed


def gaussian(values):
    return values.mean(0), torch.cov(values.T)


def distance(real, fake, block=64):
    metric = GaussianDistance(real.shape[1], len(real), len(fake))
    for part in torch.split(real, block):
        metric.update(part, real=True)
    for part in torch.split(fake, block):
        metric.update(part, real=False)
    return float(metric.compute())


def test_gaussians_whose_covariances_do_not_commute():
    first = torch.tensor([[2.0, 1.0], [1.0, 1.0]])
    second = torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    assert not torch.equal(first @ second, second @ first)
    # For 2 x 2, tr M^(1/2) = (tr M + 2 det(M)^(1/2))^(1/2): M = S S' has trace 6 and determinant 4.
    expected = 25 + 3 + 5 - 2 * math.sqrt(6 + 2 * math.sqrt(4))
    found = frechet_distance(torch.tensor([3.0, 4.0]), first, torch.zeros(2), second)
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_singular_gaussians():
    # Both along the first axis alone, with deviations 3 and 1.
    first, second = torch.diag(torch.tensor([9.0, 0.0])), torch.diag(torch.tensor([1.0, 0.0]))
    assert float(frechet_distance(torch.zeros(2), first, torch.zeros(2), second)) == 4
    # Across each other: nothing in common.
    across = torch.diag(torch.tensor([0.0, 1.0]))
    assert float(frechet_distance(torch.zeros(2), first, torch.zeros(2), across)) == 10
    nowhere = torch.zeros(2, 2)
    assert float(frechet_distance(torch.zeros(2), nowhere, torch.zeros(2), first)) == 9


@pytest.mark.parametrize("sizes", [(400, 300), (20, 30), (30, 20), (20, 300), (300, 20), (48, 49)])
def test_more_and_fewer_rows_than_columns_equal_the_reference(sizes):
    real, fake = rows(sizes[0], 48, 1), rows(sizes[1], 48, 2)
    statistics = (fid_features_to_statistics(real), fid_features_to_statistics(fake))
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert distance(real, fake) == pytest.approx(expected, rel=1e-6)
    assert float(frechet_distance(*gaussian(real), *gaussian(fake))) == pytest.approx(
        distance(real, fake), rel=1e-7
    )


def test_blocks_of_rows_give_the_product(monkeypatch):
    monkeypatch.setattr(frechet, "ROWS", 7)
    real, fake = rows(60, 24, 1), rows(50, 24, 2)
    inner = frechet._lower_of_sandwich(frechet.triangular_factor(real.T.cov()), fake.T.cov())
    lower = torch.linalg.cholesky(real.T.cov())
    expected = (lower.T @ fake.T.cov() @ lower).tril()
    torch.testing.assert_close(inner.tril(), expected, rtol=1e-12, atol=1e-12)


def test_it_equals_torchmetrics():
    real, fake = rows(300, 24, 1), rows(250, 24, 2)
    reference = FrechetInceptionDistance(feature=torch.nn.Identity(), input_img_size=(24,))
    reference.set_dtype(torch.float64)
    reference.update(real, real=True)
    reference.update(fake, real=False)
    assert distance(real, fake) == pytest.approx(float(reference.compute()), rel=1e-9)


@pytest.mark.parametrize("n", [10, 500])
def test_features_that_never_vary_change_nothing(n):
    real, fake = rows(n, 20, 1), rows(n, 20, 2)
    dead = torch.full((n, 12), 0.1, dtype=torch.float64)
    padded = distance(torch.cat([real, dead], 1), torch.cat([fake, dead], 1))
    assert padded == pytest.approx(distance(real, fake), rel=1e-9)


def test_features_that_repeat_each_other_are_no_trouble():
    real, fake = rows(500, 6, 1), rows(500, 6, 2)
    # Orthonormal: distances are those in the 6 columns themselves.
    frame = torch.linalg.qr(rows(20, 6, 3))[0].T
    assert distance(real @ frame, fake @ frame) == pytest.approx(distance(real, fake), rel=1e-7)


@pytest.mark.parametrize("n", [15, 200])
def test_a_set_is_at_no_distance_of_itself(n):
    values = rows(n, 30, 1)
    assert distance(values, values) == pytest.approx(0, abs=1e-6 * float(values.var()))


@pytest.mark.parametrize("n", [25, 300])
def test_order_and_blocks_change_nothing(n):
    real, fake = rows(n, 30, 1), rows(n, 30, 2)
    shuffled = real[torch.randperm(n, generator=torch.Generator().manual_seed(0))]
    for other in (distance(shuffled, fake), distance(real, fake, 7), distance(fake, real)):
        assert other == pytest.approx(distance(real, fake), rel=1e-10)


def test_a_large_mean_costs_no_digits():
    real, fake = rows(300, 8, 1), rows(300, 8, 2)
    far = distance(real + 1e6, fake + 1e6)
    assert far == pytest.approx(distance(real, fake), rel=1e-9)


def test_moments_of_parts_merge_to_those_of_the_whole():
    values = rows(100, 5, 1)
    total = nothing(5)
    for part in torch.split(values, 33):
        total = merge(total, moments_of(part))
    assert float(total.size) == 100
    assert torch.allclose(total.mean, values.mean(0), rtol=1e-13)
    assert torch.allclose(total.covariance, torch.cov(values.T), rtol=1e-12)


@pytest.mark.parametrize("world", [2, 5])
def test_moments_of_processes_merge_to_those_of_one(world):
    values = rows(103, 5, 1)
    parts = [moments_of(part) for part in values.tensor_split(world)]
    together = merge_stacked(*(torch.stack(states) for states in zip(*parts, strict=True)))
    alone = moments_of(values)
    for found, expected in zip(together, alone, strict=True):
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [12, 150])
def test_two_processes_equal_one(n):
    real, fake = rows(n, 20, 1), rows(n, 20, 2)
    ranks = [GaussianDistance(20, n, n) for _ in range(2)]
    for metric, ours, theirs in zip(ranks, real.tensor_split(2), fake.tensor_split(2), strict=True):
        metric.update(ours, real=True)
        metric.update(theirs, real=False)
    whole = GaussianDistance(20, n, n)
    for name in whole._defaults:
        states = [getattr(metric, name) for metric in ranks]
        joined = states[0] + states[1] if isinstance(states[0], list) else torch.stack(states)
        setattr(whole, name, joined)
    whole._update_count = 1
    assert float(whole.compute()) == pytest.approx(distance(real, fake), rel=1e-10)


def test_real_moments_do_for_real_rows():
    real, fake = rows(150, 20, 1), rows(140, 20, 2)
    metric = GaussianDistance(20, 150, 140)
    metric.update(moments_of(real), real=True)
    metric.update(fake, real=False)
    assert float(metric.compute()) == pytest.approx(distance(real, fake), rel=1e-12)


def test_memory_is_flat_where_there_are_more_rows_than_columns():
    score = FrechetDistance()
    score.reset(8, 1000, 1000, torch.device("cpu"))
    assert score.streams
    for _ in range(5):
        score.update(rows(200, 8, 1).float(), real=False)
    state = score.metric._moments("fake")
    assert isinstance(state, Moments)
    assert float(state.size) == 1000
    assert sum(value.numel() for value in state) == 1 + 8 + 64


@pytest.mark.parametrize("factor", [triangular_factor, eigenvector_factor])
def test_factors_are_factors(factor):
    covariance = torch.cov(rows(50, 6, 1).T)
    covariance[3] = covariance[:, 3] = 0
    found = factor(covariance)
    assert found.shape == (5, 6)
    assert torch.allclose(found.T @ found, covariance, rtol=1e-10, atol=1e-10)


def test_a_singular_matrix_has_no_triangular_factor():
    assert triangular_factor(torch.ones(3, 3, dtype=torch.float64) - 1e-3 * torch.eye(3)) is None


def test_one_image_has_no_spread():
    with pytest.raises(ConfigError, match="needs at least 2 images, got 1"):
        spread_of_rows(torch.zeros(1, 4))


def test_spreads_of_one_kind_or_the_other_agree():
    few, many = spread_of_rows(rows(9, 12, 1)), spread_of_rows(rows(40, 12, 2))
    assert few.covariance is None
    assert many.factor is None
    there, back = distance_of_spreads(few, many), distance_of_spreads(many, few)
    assert float(there) == pytest.approx(float(back), rel=1e-10)
