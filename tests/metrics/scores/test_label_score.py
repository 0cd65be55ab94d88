from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from ganforge.data.images import to_float
from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.requested_labels import RequestedLabels, check_labels
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.label_score import (
    LabelAgreement,
    NormalizedMutualInformation,
    counts,
    entropy,
    normalized_information,
)
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images
from tests.support.forking import fork, wait

CPU = torch.device("cpu")
CLASSES = 4


class Reader(FeatureExtractor):
    """Sees the class in the first pixel: an image of class c is c throughout."""

    name, suffix, num_features, num_logits, names_labels = "reader", "_reader", 1, CLASSES, True
    protocol = {"features": "reader-v1", "resize": "none"}
    device = CPU

    def forward(self, images):
        first = images[:, 0, 0, 0].long()
        values = torch.nn.functional.one_hot(first, CLASSES).float()
        return Features(first[:, None].float(), values)


def drawn(labels):
    """Images of classes, as a generator gives them."""
    return to_float(labels.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4))


def pictures(labels=None):
    labels = torch.arange(40) % CLASSES if labels is None else labels
    return Pictures(labels.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4), labels, CLASSES)


def score(kind, predicted, asked):
    """The value of a score by hand, of logits and labels."""
    metric = kind()
    metric.reset(CLASSES, 0, len(predicted), CPU)
    metric.compare(torch.nn.functional.one_hot(predicted, CLASSES).float(), asked)
    return metric.compute(0).value


# ---------------------------------------------------------------------- closed forms


def test_agreement_is_the_share_of_equal_labels():
    asked = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    assert score(LabelAgreement, asked, asked) == 1
    assert score(LabelAgreement, (asked + 1) % CLASSES, asked) == 0
    assert score(LabelAgreement, torch.tensor([0, 1, 2, 3, 1, 2, 3, 3]), asked) == 5 / 8
    assert score(LabelAgreement, torch.zeros(8, dtype=torch.int64), asked) == 1 / CLASSES


def test_information_does_not_ask_which_code_became_which_class():
    asked = torch.arange(40) % CLASSES
    assert score(NormalizedMutualInformation, asked, asked) == pytest.approx(1)
    assert score(NormalizedMutualInformation, 3 - asked, asked) == pytest.approx(1)
    assert score(LabelAgreement, 3 - asked, asked) == 0


def test_independent_codes_tell_nothing():
    asked, predicted = torch.arange(4).repeat(4), torch.arange(4).repeat_interleave(4)
    assert score(NormalizedMutualInformation, predicted, asked) == pytest.approx(0, abs=1e-12)
    assert score(NormalizedMutualInformation, asked * 0, asked) == 0
    assert score(NormalizedMutualInformation, asked * 0, asked * 0) == 0


def test_two_codes_for_each_of_two_classes_tell_half():
    """H(code) = log 4, H(class) = I = log 2: 2 log 2 / (3 log 2)."""
    asked = torch.tensor([0, 1, 2, 3])
    predicted = torch.tensor([0, 0, 1, 1])
    assert score(NormalizedMutualInformation, predicted, asked) == pytest.approx(2 / 3)


def test_entropies_and_counts():
    assert float(entropy(torch.tensor([0.5, 0.5, 0.0]))) == pytest.approx(math.log(2))
    assert float(entropy(torch.full((8,), 1 / 8))) == pytest.approx(math.log(8))
    pairs = counts(torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 0, 1]))
    assert pairs.tolist() == [[0, 1], [2, 0], [0, 1]]


def test_information_is_that_of_scikit_learn():
    generator = torch.Generator().manual_seed(3)
    first = torch.randint(7, (500,), generator=generator)
    second = (first + torch.randint(3, (500,), generator=generator)) % 5
    ours = float(normalized_information(counts(first, second)))
    assert ours == pytest.approx(normalized_mutual_info_score(first, second), rel=1e-9)
    assert ours == pytest.approx(float(normalized_information(counts(second, first))), rel=1e-12)


# ---------------------------------------------------------------------- the requested classes


def test_balanced_labels_take_all_classes_in_turn():
    asked = RequestedLabels("balanced", 3)
    assert asked(5, 0).tolist() == [0, 1, 2, 0, 1]
    assert asked(3, 7).tolist() == [1, 2, 0]
    assert asked.protocol() == {"labels": "balanced"}
    assert RequestedLabels()(5, 0) is None
    assert RequestedLabels().protocol() == {}


def test_labels_of_the_data_come_as_often_as_there():
    labels = torch.tensor([3, 3, 3, 0, 1, 3, 2, 3])
    data = pictures(labels)
    asked = RequestedLabels("data", CLASSES, data)
    assert asked(8, 0).tolist() == labels.tolist()
    assert asked(5, 6).tolist() == [2, 3, 3, 3, 3]  # over and over
    assert data.read == 0  # no image, which might have to be decoded
    whole = asked(30, 0)
    assert torch.equal(torch.cat([asked(11, 0), asked(19, 11)]), whole)


def test_labels_that_the_data_do_not_have_are_refused():
    with pytest.raises(ConfigError, match="must be one of balanced, data, got 'some'"):
        RequestedLabels("some", 3)
    with pytest.raises(ConfigError, match="the data have 4 classes and the model 3"):
        RequestedLabels("data", 3, pictures())


# ---------------------------------------------------------------------- in an evaluation


def scores():
    return {
        "fid": FrechetDistance(),
        "label_agreement": LabelAgreement(),
        "normalized_mutual_information": NormalizedMutualInformation(),
    }


def run(asked, extractor=None, wrong=0, n=41, **more):
    """Scores a generator that draws the requested class, and class 0 in its first images."""

    def sample(count, start):
        labels = asked(count, start).clone()
        labels[: max(0, wrong - start)] = 0
        return drawn(labels)

    extractor = extractor or Reader()
    kept = scores()
    for one in kept.values():
        assert one.prepare(pictures(), extractor, CPU)
    return evaluate(sample, pictures(), extractor, kept, n, 0, 7, labels=asked, **more)


def test_names_have_no_suffix_and_protocols_tell_the_labels():
    results = run(RequestedLabels("balanced", CLASSES), wrong=4)
    names = ["fid_reader", "label_agreement", "normalized_mutual_information"]
    assert list(results) == names
    assert results["label_agreement"].value == 38 / 41
    assert 0.8 < results["normalized_mutual_information"].value < 1
    for result in results.values():
        assert result.to_dict()["labels"] == "balanced"
        assert result.features == "reader-v1"
    assert results["label_agreement"].n_real == 0


def test_two_processes_agree_on_what_one_finds(tmp_path):
    def values(**more):
        results = run(RequestedLabels("data", CLASSES, pictures()), wrong=10, **more)
        return {name: one.value for name, one in results.items()}

    def work(rank):
        def child():
            torch.set_num_threads(1)
            torch.distributed.init_process_group(
                "gloo", init_method=f"file://{tmp_path}/meet", rank=rank, world_size=2
            )
            torch.save(values(rank=rank, world=2), tmp_path / f"{rank}.pt")

        return child

    assert [wait(pid) for pid in [fork(work(rank)) for rank in range(2)]] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first == second == pytest.approx(values())


def test_features_without_labels_use_a_separate_classifier(monkeypatch):
    built = []

    def build(self, data, device):
        built.append(data.name)
        return Reader()

    monkeypatch.setattr("ganforge.metrics.ClassifierFactory.build", build)
    results = run(RequestedLabels("balanced", CLASSES), extractor=Glance())
    assert built == ["pictures"] * 2
    assert next(iter(results)) == "fid_glance"
    assert results["label_agreement"].value == 1
    assert results["label_agreement"].features == "reader-v1"
    assert results["fid_glance"].features == "glance-v1"


def test_unlabelled_data_leave_the_score_out(caplog):
    data = Pictures(noise_images(8))
    assert not LabelAgreement().prepare(data, Glance(), CPU)
    assert "NO LabelAgreement in this run: data 'pictures' has no labels" in caplog.text


def test_an_unconditional_model_is_refused():
    with pytest.raises(
        ConfigError, match="metrics=label_agreement compares with the requested classes"
    ):
        check_labels(scores(), 0)
    check_labels(scores(), 3)
    check_labels({"fid": FrechetDistance()}, 0)
