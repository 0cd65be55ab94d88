from types import SimpleNamespace

import pytest
import torch

from ganforge.callbacks.evaluation import Evaluation
from ganforge.data.images import to_float
from ganforge.errors import ConfigError
from ganforge.metrics.requested_labels import RequestedLabels
from ganforge.metrics.scores.frechet import FrechetDistance, distance_of_spreads, spread_of_rows
from ganforge.metrics.scores.intra_class import IntraClassFrechet
from tests.metrics.stand_ins import Glance, Glances, Pictures, evaluate, noise_images

CPU = torch.device("cpu")
CLASSES = 3


def labelled(n=120, seed=0):
    """Images whose brightness is that of their class."""
    labels = torch.arange(n) % CLASSES
    images = noise_images(n, seed) // 4 + (labels * 60)[:, None, None, None].to(torch.uint8)
    return images, labels


def scored(images, n=120, data=None):
    data = data or Pictures(*labelled(), num_classes=CLASSES)
    scores = {"fid": FrechetDistance(), "intra_fid": IntraClassFrechet()}
    labels = RequestedLabels("balanced", CLASSES)

    def sample(count, start):
        return to_float(images[start : start + count])

    return evaluate(sample, data, Glance(), scores, n, 0, 32, labels=labels)


def test_it_is_the_mean_of_the_distances_within_classes():
    data, extractor = Pictures(*labelled(), num_classes=CLASSES), Glance()
    fakes, labels = labelled(seed=1)
    distances = [
        distance_of_spreads(
            spread_of_rows(extractor(data.images[labels == label]).features),
            spread_of_rows(extractor(fakes[labels == label]).features),
        )
        for label in range(CLASSES)
    ]
    result = scored(fakes, data=data)["intra_fid_glance"]
    assert result.value == pytest.approx(float(torch.stack(distances).mean()), rel=1e-10)
    assert result.details["classes"] == CLASSES


def test_wrong_classes_increase_it_but_not_the_distance_of_all():
    fakes, _ = labelled(seed=1)
    right, wrong = scored(fakes), scored(fakes.roll(1, 0))
    assert wrong["fid_glance"].value == pytest.approx(right["fid_glance"].value, rel=1e-9)
    assert wrong["intra_fid_glance"].value > 20 * right["intra_fid_glance"].value


def test_data_without_classes_are_refused():
    with pytest.raises(ConfigError, match=r"intra_fid compares class by class, .* 0 classes"):
        IntraClassFrechet().prepare(Pictures(noise_images(9)), Glance(), CPU)


def test_a_class_of_one_image_is_refused():
    with pytest.raises(ConfigError, match="class 2 has 1 real and 1 generated images"):
        scored(labelled()[0], n=5)


def test_too_few_images_of_a_class_are_refused_before_any_is_generated_or_read():
    data = Pictures(*labelled(), num_classes=CLASSES)

    def sample(count, start):
        raise AssertionError("no image is requested")

    asked, scores = RequestedLabels("balanced", CLASSES), {"intra_fid": IntraClassFrechet()}
    with pytest.raises(ConfigError, match="class 2 has 40 real and 1 generated images"):
        evaluate(sample, data, Glance(), scores, 5, 0, 32, n_real=120, labels=asked)
    with pytest.raises(ConfigError, match="class 1 has 1 real and 40 generated images"):
        evaluate(sample, data, Glance(), scores, 120, 0, 32, n_real=4, labels=asked)
    assert data.read == 0


def test_a_run_is_refused_before_it_starts():
    callback = Evaluation(Glances(), {"intra_fid": IntraClassFrechet()}, n=4, n_real=120)
    data = Pictures(*labelled(), num_classes=CLASSES)
    game = SimpleNamespace(num_classes=CLASSES, seed=0)
    with pytest.raises(ConfigError, match="class 1 has 40 real and 1 generated images"):
        callback.check(game, data)
    assert callback.features.built == 0
    Evaluation(Glances(), {"intra_fid": IntraClassFrechet()}, n=6, n_real=9).check(game, data)
