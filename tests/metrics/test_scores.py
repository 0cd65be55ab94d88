import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from ganforge.errors import ConfigError
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.kernel import KernelDistance


def score(metric, fake, real=None, seed=0):
    n_real = 0 if real is None else len(real)
    metric.reset(fake.shape[1], n_real, len(fake), torch.device("cpu"), seed)
    if real is not None:
        metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute(seed)


def gaussian(n, width, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator, dtype=dtype)
    return torch.randn(n, width, generator=generator, dtype=dtype) @ mixing + seed


def exactly_spread(n, variances):
    """Returns n points whose sample covariance is diag(variances), whose mean is 0."""
    points = torch.randn(n, len(variances), generator=torch.Generator().manual_seed(1)).double()
    points -= points.mean(0)
    root = torch.linalg.cholesky(torch.cov(points.T))
    white = torch.linalg.solve_triangular(root, points.T, upper=False).T
    return white * torch.tensor(variances, dtype=torch.float64).sqrt()


def test_frechet_distance_of_gaussians_with_diagonal_covariance_is_the_closed_form():
    real = exactly_spread(500, [1.0, 4.0, 9.0])
    fake = exactly_spread(300, [4.0, 4.0, 1.0]) + torch.tensor([3.0, 0.0, -4.0])
    # |m|^2 = 25, and the sum of (s - s')^2 is (1 - 2)^2 + 0 + (3 - 1)^2 = 5.
    assert score(FrechetDistance(), fake, real).value == pytest.approx(30.0, abs=1e-9)


def test_frechet_distance_equals_the_formula_by_symmetric_square_roots():
    real, fake = gaussian(400, 12, 1), gaussian(300, 12, 2)

    def root(matrix):
        values, vectors = np.linalg.eigh(matrix)
        return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T

    s1, s2 = np.cov(real.numpy().T), np.cov(fake.numpy().T)
    cross = root(root(s1) @ s2 @ root(s1))
    apart = float((real.mean(0) - fake.mean(0)).square().sum())
    expected = apart + np.trace(s1) + np.trace(s2) - 2 * np.trace(cross)
    assert score(FrechetDistance(), fake, real).value == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_equals_torch_fidelity():
    real, fake = gaussian(400, 16, 1), gaussian(500, 16, 3)
    statistics = (fid_features_to_statistics(real), fid_features_to_statistics(fake))
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert score(FrechetDistance(), fake, real).value == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_is_nothing():
    features = gaussian(5000, 8, 1)
    assert score(FrechetDistance(), features, features).value == pytest.approx(0, abs=1e-6)


def test_kernel_distance_equals_torch_fidelity_on_whole_sets():
    real, fake = gaussian(80, 16, 1) / 8, gaussian(80, 16, 2) / 8
    expected = kid_features_to_metric(real, fake, kid_subsets=1, kid_subset_size=80, verbose=False)
    result = score(KernelDistance(), fake, real)
    assert result.value == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9)
    assert result.std is None


def test_kernel_distance_of_equally_distributed_sets_is_about_nothing():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(2000, 8, generator=generator)
    same = score(KernelDistance(20, 100), points[:1000], points[1000:])
    other = score(KernelDistance(20, 100), points[:1000] + 1, points[1000:])
    assert abs(same.value) < 2 * same.std
    assert other.value > 8.0 > 100 * abs(same.value)


def test_kernel_distance_records_the_subsets_it_took():
    metric = KernelDistance(subsets=7, subset_size=1000)
    score(metric, gaussian(30, 4, 1), gaussian(50, 4, 2))
    assert metric.protocol() == {"subsets": 7, "subset_size": 30}
    score(metric, gaussian(30, 4, 1), gaussian(30, 4, 2))
    assert metric.protocol() == {"subsets": 1, "subset_size": 30}
    score(metric, gaussian(1200, 4, 1), gaussian(1100, 4, 2))
    assert metric.protocol() == {"subsets": 7, "subset_size": 1000}


def test_random_subsets_are_decided_by_the_seed_and_leave_the_global_state_alone():
    real, fake = gaussian(90, 4, 1), gaussian(100, 4, 2)
    before = torch.get_rng_state()
    values = [score(KernelDistance(5, 40), fake, real, seed).value for seed in (1, 1, 2)]
    spread = [score(InceptionScore(4), fake, seed=seed).value for seed in (1, 1, 2)]
    assert torch.equal(before, torch.get_rng_state())
    assert values[0] == values[1] != values[2]
    assert spread[0] == spread[1] != spread[2]


@pytest.mark.parametrize("confidence", [100.0, 1e4])
def test_inception_score_of_sure_and_even_classes_is_their_number(confidence):
    logits = confidence * torch.eye(5).repeat(40, 1)
    assert score(InceptionScore(splits=1), logits).value == pytest.approx(5.0, abs=1e-6)


@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [9.0, 1.0, -3.0], [1e5, 0.0, 0.0]])
def test_inception_score_of_equal_images_is_one(row):
    result = score(InceptionScore(), torch.tensor([row] * 50))
    assert result.value == pytest.approx(1.0, abs=1e-9)
    assert result.std == pytest.approx(0.0, abs=1e-9)


def test_inception_score_is_finite_where_a_class_is_never_seen():
    logits = 1e4 * torch.eye(5)[[0, 1, 0, 1, 0, 1, 0, 1]]
    assert score(InceptionScore(splits=1), logits).value == pytest.approx(2.0, abs=1e-6)


def test_inception_score_equals_torch_fidelity():
    logits = gaussian(300, 10, 1)
    expected = isc_features_to_metric(logits, splits=1)["inception_score_mean"]
    result = score(InceptionScore(splits=1), logits)
    assert result.value == pytest.approx(expected, rel=1e-9)
    assert result.std is None


def test_inception_score_records_the_parts_it_took():
    metric = InceptionScore(splits=10)
    score(metric, gaussian(7, 4, 1))
    assert metric.protocol() == {"splits": 7}  # none is empty
    score(metric, gaussian(100, 4, 1))
    assert metric.protocol() == {"splits": 10}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: KernelDistance(subsets=0), "subsets must be at least 1, got 0"),
        (lambda: KernelDistance(subset_size=1), "subset_size must be at least 2, got 1"),
        (lambda: InceptionScore(splits=0), "splits must be at least 1, got 0"),
    ],
)
def test_bad_values_are_refused(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
