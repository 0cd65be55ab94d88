import logging

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from ganforge.errors import ConfigError
from ganforge.metrics.features import classifier_training
from ganforge.metrics.features.classifier import ClassifierFactory
from ganforge.metrics.features.classifier_training import Trained, shrink
from tests.metrics.stand_ins import Pictures, noise_images
from tests.support.disk import full

CPU = torch.device("cpu")


def digits():
    bundled = load_digits()
    images = torch.from_numpy(bundled.images)[:, None] * (255 / 16)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    large = F.interpolate(images, 32, mode="bilinear", antialias=True).round().to(torch.uint8)
    return Pictures(large[order], torch.from_numpy(bundled.target)[order], 10, 297, "digits")


def two_shades(n=60, channels=3, size=20, test=20):
    labels = torch.arange(n) % 2
    images = noise_images(n, channels=channels, size=size) // 4 + (128 * labels).view(-1, 1, 1, 1)
    return Pictures(images.to(torch.uint8), labels, 2, test, "shades")


@pytest.fixture(autouse=True, scope="module")
def quick_training():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier_training, "LEAST_SEEN", 1_000)
        yield


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="module")
def built(classifiers):
    before = torch.get_rng_state(), torch.get_num_threads()
    extractor = ClassifierFactory(cache=str(classifiers)).build(digits(), CPU)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == torch.get_num_threads()
    return extractor


def test_reading_a_classifier_draws_no_random_numbers(built, classifiers):
    before = torch.get_rng_state()
    ClassifierFactory(cache=str(classifiers)).build(digits(), CPU)
    assert torch.equal(before, torch.get_rng_state())


def test_digits_are_named_rightly(built):
    images, labels = digits().reals(297, "test")
    seen = built(images)
    right = (seen.logits.argmax(1) == labels).double().mean().item()
    assert right >= 0.97
    assert built.protocol["features_accuracy"] == pytest.approx(right)
    assert seen.features.shape == (297, 128) == (297, built.num_features)
    assert seen.logits.shape == (297, 10)
    assert not seen.features.requires_grad


def test_a_second_build_reads_the_cached_classifier(built, classifiers, monkeypatch):
    def train(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr("ganforge.metrics.features.classifier.train", train)
    again = ClassifierFactory(cache=str(classifiers)).build(digits(), CPU)
    images, _ = digits().reals(20)
    assert torch.equal(again(images).features, built(images).features)
    assert again.protocol == built.protocol
    kept = [path for path in classifiers.iterdir() if path.name.startswith("digits")]
    assert [path.suffix for path in kept] == [".pt"]


def test_training_is_a_function_of_the_data_alone(monkeypatch):
    torch.manual_seed(1)
    first, _ = classifier_training.train(two_shades(), 60)
    torch.manual_seed(2)
    second, _ = classifier_training.train(two_shades(), 60)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_works_where_gradients_are_off(tmp_path, monkeypatch):
    with torch.inference_mode():
        extractor = ClassifierFactory(cache=str(tmp_path)).build(two_shades(), CPU)
    assert extractor.protocol["features_accuracy"] == 1.0


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (4, 32), (2, 50)])
def test_any_channels_and_size(tmp_path, monkeypatch, channels, size):
    data = two_shades(channels=channels, size=size, test=0)
    extractor = ClassifierFactory(cache=str(tmp_path)).build(data, CPU)
    assert extractor(data.reals(5)[0]).features.shape == (5, 128)
    assert "features_accuracy" not in extractor.protocol


def test_a_damaged_file_is_recreated(tmp_path, monkeypatch, caplog):
    factory = ClassifierFactory(cache=str(tmp_path))
    path = factory.path(two_shades())
    path.write_bytes(b"half a file")
    factory.build(two_shades(), CPU)
    assert "damaged" in caplog.text
    assert set(torch.load(path, weights_only=True)) == {"state", "accuracy"}


def test_the_first_of_two_runs_wins(tmp_path, monkeypatch):
    factory = ClassifierFactory(cache=str(tmp_path))
    ours, theirs = two_shades(), two_shades()
    kept = []

    def meanwhile(data, count):
        kept.append(factory.build(theirs, CPU))
        state, accuracy = classifier_training.train(data, count)
        return Trained({name: value * 2 for name, value in state.items()}, accuracy)

    with monkeypatch.context() as patch:
        calls = iter([meanwhile, classifier_training.train])
        patch.setattr("ganforge.metrics.features.classifier.train", lambda *a: next(calls)(*a))
        late = factory.build(ours, CPU)
    assert late.protocol["features_weights"] == kept[0].protocol["features_weights"]


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    extractor = ClassifierFactory(cache=str(tmp_path / "file" / "folder")).build(two_shades(), CPU)
    assert extractor.num_logits == 2
    assert "cannot be saved" in caplog.text


def test_a_full_disk_costs_only_the_keeping(tmp_path, caplog, built, classifiers, monkeypatch):
    kept = torch.load(next(classifiers.glob("*.pt")), weights_only=True)
    trained = Trained(kept["state"], kept["accuracy"])
    monkeypatch.setattr("ganforge.metrics.features.classifier.train", lambda *_: trained)
    with full():
        assert (
            ClassifierFactory(cache=str(tmp_path)).build(digits(), CPU).protocol == built.protocol
        )
    assert "cannot be saved" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_the_key_follows_images_and_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path))
    path = ClassifierFactory().path(two_shades())
    assert path.parent == tmp_path / "classifiers"
    assert path == ClassifierFactory().path(two_shades())
    others = [ClassifierFactory().path(two_shades(n=70)), ClassifierFactory(None, 9).path(digits())]
    assert len({path, *others}) == 3


def test_accuracy_is_logged(tmp_path, monkeypatch, caplog):
    with caplog.at_level(logging.INFO, logger="ganforge"):
        ClassifierFactory(cache=str(tmp_path)).build(two_shades(), CPU)
    assert "classifier of shades: 100.00% accuracy on test images" in caplog.text


def test_unlabelled_data_is_refused():
    with pytest.raises(ConfigError, match="needs labels, and data 'pictures' has 0 classes"):
        ClassifierFactory().build(Pictures(noise_images(9)), CPU)


def test_images_are_shrunk_to_32():
    flat = torch.full((2, 3, 64, 48), 200, dtype=torch.uint8)
    assert torch.equal(shrink(flat), torch.full((2, 3, 32, 32), 200, dtype=torch.uint8))
    same = noise_images(2, size=32)
    assert shrink(same) is same
