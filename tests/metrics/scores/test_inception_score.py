import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from ganforge.metrics.scores.inception_score import ClassEntropies, InceptionScore, draw_parts


def logits(n, width, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, width, generator=generator, dtype=torch.float64)


def in_order(n, parts):
    return torch.bucketize(torch.arange(n), torch.arange(1, parts) * n // parts, right=True)


def score(values, block=1000, first=0, n=None, splits=3, seed=0):
    metric = InceptionScore(splits)
    metric.reset(values.shape[1], 0, n or len(values), torch.device("cpu"), seed, first)
    for part in torch.split(values, block):
        metric.update(part, real=False)
    return metric


@pytest.mark.parametrize(("n", "splits"), [(300, 10), (103, 10), (50, 1)])
def test_parts_have_the_values_of_torch_fidelity(n, splits):
    values = logits(n, 12)
    expected = isc_features_to_metric(values, splits=splits, shuffle=False)
    metric = ClassEntropies(12, splits)
    metric.update(values, in_order(n, splits))
    found = metric.compute().reshape(-1)
    assert float(found.mean()) == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    deviation = float(found.std(correction=0))
    assert deviation == pytest.approx(expected["inception_score_std"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("n", "parts"), [(10, 3), (103, 10), (7, 7), (5, 1)])
def test_parts_are_as_large_as_those_of_the_authors_code(n, parts):
    sizes = [(i + 1) * n // parts - i * n // parts for i in range(parts)]
    assert torch.bincount(draw_parts(n, parts, 0), minlength=parts).tolist() == sizes
    assert torch.equal(draw_parts(n, parts, 4), draw_parts(n, parts, 4))


def test_blocks_change_nothing():
    values = logits(200, 6)
    whole = score(values).compute()
    assert score(values, block=7).compute().value == pytest.approx(whole.value, rel=1e-13)
    assert score(values, seed=1).compute() != whole


def test_two_processes_equal_one():
    values = logits(101, 6)
    first, second = score(values[:40], n=101), score(values[40:], n=101, first=40)
    whole = score(values)
    for name in ("probabilities", "information", "count"):
        parts = getattr(first.metric, name) + getattr(second.metric, name)
        assert torch.allclose(parts, getattr(whole.metric, name), rtol=1e-12)
    for name in ("probabilities", "information", "count"):
        setattr(first.metric, name, getattr(first.metric, name) + getattr(second.metric, name))
    assert first.compute().value == pytest.approx(whole.compute().value, rel=1e-12)


def test_memory_is_flat():
    states = score(logits(500, 6)).metric.metric_state
    assert sum(value.numel() for value in states.values()) == 3 * 6 + 3 + 3
