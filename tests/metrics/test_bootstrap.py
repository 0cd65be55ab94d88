"""Intervals by resampling: closed forms, and what is resampled."""

import itertools
import logging
import math

import pytest
import torch

from ganforge.data.images import to_float
from ganforge.errors import ConfigError
from ganforge.metrics import bootstrap
from ganforge.metrics import rows as fake_rows
from ganforge.metrics.bootstrap import add_intervals, draws, interval
from ganforge.metrics.evaluate import EvaluationSettings
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.requested_labels import RequestedLabels
from ganforge.metrics.rows import FakeRows
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.intra_class import IntraClassFrechet
from ganforge.metrics.scores.prdc import Precision
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images

FAKES = noise_images(200, seed=1) // 2


def sample(n, start):
    return to_float(FAKES[start : start + n])


def run(resamples=40, seed=0):
    scores = {"fid": FrechetDistance(), "is": InceptionScore(1), "precision": Precision()}
    reals = RealFeatures(Pictures(noise_images(240)), Glance())
    kept = FakeRows(200)
    results = evaluate(
        sample, reals.data, reals.extractor, scores, 200, seed, 50, reals=reals, keep=kept
    )
    before = {name: result.value for name, result in results.items()}
    add_intervals(results, kept, reals, scores, EvaluationSettings(200, seed, 50), resamples)
    assert before == {name: result.value for name, result in results.items()}
    return results


def test_every_value_is_within_its_interval():
    results = run()
    assert list(results) == ["fid_glance", "is_glance", "precision_glance"]
    for name, result in results.items():
        assert result.low <= result.value <= result.high, name
        assert result.bootstrap == 40
        assert {"low", "high", "bootstrap"} <= result.to_dict().keys()
    assert results["fid_glance"].low < results["fid_glance"].high


def test_the_seed_decides_the_interval():
    ends = [(r.low, r.high) for r in run().values()]
    assert ends == [(r.low, r.high) for r in run().values()]
    assert ends != [(r.low, r.high) for r in run(seed=1).values()]


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    values = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    means = torch.stack([values[rows].mean() for rows in draws(400, None, 2000, 0)])
    low, high = interval(float(values.mean()), means)
    error = float(values.std(correction=0)) / math.sqrt(400)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert (low + high) / 2 == pytest.approx(float(values.mean()), abs=0.1 * error)


def test_resamples_shifted_as_one_leave_the_interval_where_it_is():
    spread = torch.linspace(-1, 1, 41, dtype=torch.float64)
    assert interval(5.0, spread + 100) == pytest.approx((5 - 0.95, 5 + 0.95))


def test_images_are_replaced_within_their_class():
    labels = torch.tensor([0, 1] * 20 + [2])
    drawn = list(draws(41, labels, 5, 0))
    assert all(torch.equal(labels[rows], labels) for rows in drawn)
    assert any(len(rows.unique()) < 41 for rows in drawn)
    assert torch.equal(drawn[1], list(draws(41, labels, 2, 0))[1])


def test_scores_of_classes_are_resampled_class_by_class():
    labels = torch.arange(240) % 3
    data = Pictures(noise_images(240), labels, num_classes=3)
    reals, scores = RealFeatures(data, Glance()), {"intra_fid": IntraClassFrechet()}
    kept, asked = FakeRows(9), RequestedLabels("balanced", 3, data)
    results = evaluate(
        sample, data, reals.extractor, scores, 9, 0, 4, n_real=240, labels=asked, keep=kept
    )
    assert torch.equal(kept.labels, asked(9, 0))
    settings = EvaluationSettings(9, 0, 50, n_real=240)
    add_intervals(results, kept, reals, scores, settings, 20)
    found = results["intra_fid_glance"]
    assert found.low < found.value < found.high


def test_the_remaining_time_is_logged_after_one_resample(monkeypatch, caplog):
    clock = itertools.count(step=6.0)  # a resample seems to take six seconds
    monkeypatch.setattr(bootstrap.time, "perf_counter", lambda: next(clock))
    with caplog.at_level(logging.INFO, "ganforge"):
        run(resamples=21)
    assert caplog.messages == ["bootstrap: 20 more resamples: 2.0 min"]


def test_short_times_are_not_logged(caplog):
    with caplog.at_level(logging.INFO, "ganforge"):
        run(resamples=20)
    assert caplog.messages == []


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(fake_rows, "MOST_BYTES", 200 * 4 * 6)
    rows, extractor = torch.zeros(50, 6), Glance()
    kept = FakeRows(200)
    kept.keep(extractor, "features", rows, 0)
    with pytest.raises(ConfigError, match="lower n, or leave bootstrap out"):
        kept.keep(extractor, "logits", rows, 0)
