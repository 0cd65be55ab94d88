import logging

import pytest
import torch

from ganforge.data.images import to_float
from ganforge.errors import ConfigError
from ganforge.metrics.features import classifier_training
from ganforge.metrics.requested_labels import RequestedLabels
from ganforge.metrics.scores.classification_accuracy import (
    ClassificationAccuracy,
)
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images

CPU = torch.device("cpu")
LABELS = torch.arange(600) % 3


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(classifier_training, "LEAST_SEEN", 2_000)


def bright(labels, seed):
    """Images of which class k has its k-th quarter lit."""
    images = noise_images(len(labels), seed, size=16) // 2
    for k in range(3):
        row, column = 8 * (k // 2), 8 * (k % 2)
        images[labels == k, :, row : row + 8, column : column + 8] += 100
    return images


DATA = Pictures(bright(LABELS, 0), LABELS, 3, test=150)


def scored(images, data=DATA, classes=3, batch_size=64):
    score, extractor = ClassificationAccuracy(), Glance(size=16)
    assert score.prepare(data, extractor, CPU)
    sample = lambda n, start: to_float(images[start : start + n])  # noqa: E731
    asked = RequestedLabels("balanced", classes, data)
    found = evaluate(
        sample, data, extractor, {"cas": score}, len(images), 0, batch_size, labels=asked
    )
    return found["cas"]


def test_a_classifier_of_good_images_knows_real_ones():
    result = scored(bright(LABELS[:300], 5))
    assert result.value == 1
    assert result.features == "pixels"
    assert result.resize == "bilinear-antialias-32"
    assert result.details["n_test"] == 150


def test_images_of_the_wrong_class_teach_it_wrongly():
    assert scored(bright((LABELS[:300] + 1) % 3, 5)).value == 0


def test_a_dropped_class_and_noise_cost_accuracy():
    dropped = LABELS[:300].clone()
    dropped[dropped == 2] = 1  # 2 is requested, 1 is generated
    found = scored(bright(dropped, 5)).value
    assert found < 0.8
    assert scored(noise_images(300, 9, size=16)).value < 0.6


def test_the_value_is_a_function_of_the_images_alone():
    images = bright(LABELS[:90], 5)
    before = torch.get_rng_state()
    assert scored(images).value == scored(images, batch_size=7).value
    assert torch.equal(before, torch.get_rng_state())


def test_data_that_cannot_test_are_left_out(caplog):
    unlabelled = Pictures(noise_images(9))
    untested = Pictures(noise_images(9), LABELS[:9], 3)
    with caplog.at_level(logging.WARNING, logger="ganforge"):
        assert not ClassificationAccuracy().prepare(unlabelled, Glance(), CPU)
        assert not ClassificationAccuracy().prepare(untested, Glance(), CPU)
    assert "has no labels" in caplog.text
    assert "has no test split" in caplog.text


def test_classes_that_the_data_do_not_have_are_refused():
    with pytest.raises(ConfigError, match="the model has class 4, and data=pictures has 3"):
        scored(noise_images(20, 9, size=16), classes=5)
