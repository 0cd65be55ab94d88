import hashlib
import logging
import urllib.error

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import (
    URL_INCEPTION_V3,
    FeatureExtractorInceptionV3,
)

from ganforge.errors import ConfigError
from ganforge.metrics.features import classifier_training, inception
from ganforge.metrics.features.auto import AutoFactory
from ganforge.metrics.features.base import to_rgb
from ganforge.metrics.features.classifier import ClassifierFeatures
from ganforge.metrics.features.inception import WEIGHTS, InceptionFactory, InceptionFeatures
from ganforge.metrics.scores.frechet import FrechetDistance
from tests.metrics.stand_ins import Pictures, noise_images
from tests.support.inception_weights import save_random_weights

CPU = torch.device("cpu")
GREY = Pictures(noise_images(4))
COLOUR = Pictures(noise_images(4, channels=3))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights in the form of the real ones."""
    return save_random_weights(tmp_path_factory.mktemp("weights") / "inception.pth")


@pytest.fixture(autouse=True)
def no_network(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    monkeypatch.setattr(classifier_training, "LEAST_SEEN", 500)


def labelled(channels):
    labels = torch.arange(40) % 2
    return Pictures(noise_images(40, channels=channels), labels, 2, 10)


def test_features_are_those_of_torch_fidelity(weights, monkeypatch):
    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 96)  # for speed
    before = torch.get_rng_state()
    ours = InceptionFactory(str(weights)).build(COLOUR, CPU)
    assert torch.equal(before, torch.get_rng_state())
    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], str(weights)
    )
    images = noise_images(1, channels=3, size=40)
    features, logits = theirs(images)
    seen = ours(images)
    assert torch.equal(seen.features, features)
    assert torch.equal(seen.logits, logits)
    assert features.shape == (1, ours.num_features)
    assert logits.shape == (1, ours.num_logits)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    assert ours.suffix == f"_inception-{digest}"
    assert FrechetDistance().published("fid", ours) == f"fid_inception-{digest}"
    assert ours.protocol["features"] == "inception-v3-compat"
    assert len(ours.protocol["features_weights"]) == 8


def distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    """The Frechet distance, with tr sqrt(S S') as the nuclear norm of the centered features."""
    real, fake = (x.double() for x in (real, fake))
    ours, theirs = ((x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (real, fake))
    mean = (real.mean(0) - fake.mean(0)).square().sum()
    product = torch.linalg.svdvals(ours @ theirs.T).sum()
    return float(mean + ours.square().sum() + theirs.square().sum() - 2 * product)


@pytest.mark.slow
def test_the_layout_changes_the_distance_by_rounding_and_bf16_says_so(weights, monkeypatch):
    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 80)  # for speed
    images = noise_images(24, channels=3, size=40)
    images[12:] = images[12:] // 2 + 30
    plain = InceptionFactory(str(weights)).build(COLOUR, CPU)
    assert plain.memory_format == torch.contiguous_format  # auto, on a CPU
    fast = InceptionFactory(str(weights), channels_last=True).build(COLOUR, CPU)
    half = InceptionFactory(str(weights), precision="bf16").build(COLOUR, CPU)
    expected, ours, coarse = (one(images) for one in (plain, fast, half))
    value = distance(*expected.features.chunk(2))
    assert value > 0
    assert distance(*ours.features.chunk(2)) == pytest.approx(value, rel=1e-3)
    assert plain.protocol == fast.protocol
    assert half.protocol == plain.protocol | {"precision": "bf16"}
    assert coarse.features.dtype == torch.float32
    assert not torch.equal(coarse.features, expected.features)
    error = (coarse.features - expected.features).norm() / expected.features.norm()
    assert error < 0.05


def test_a_wrong_precision_is_refused():
    with pytest.raises(ConfigError, match="precision must be one of float32, bf16, got 'fp8'"):
        InceptionFactory(precision="fp8")


def test_missing_weights_name_url_path_and_override(tmp_path):
    with pytest.raises(ConfigError) as fault:
        InceptionFactory().build(COLOUR, CPU)
    message = str(fault.value)
    assert URL_INCEPTION_V3 in message
    assert str(tmp_path / "torch" / "hub" / "checkpoints" / WEIGHTS.path.name) in message
    assert "features.weights=PATH" in message
    assert "Name or service not known" in message


def test_a_path_that_leads_nowhere_is_refused_before_any_download():
    with pytest.raises(ConfigError, match="weights=/no/where: no such file"):
        InceptionFactory("/no/where").build(COLOUR, CPU)
    with pytest.raises(ConfigError, match="no such file"):
        AutoFactory("/no/where").build(labelled(1), CPU)


@pytest.mark.parametrize("content", ["text", "other weights"])
def test_a_file_that_is_not_the_weights_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    if content == "text":
        path.write_text("not found")
    else:
        torch.save({"fc.weight": torch.zeros(10, 2048)}, path)
    with pytest.raises(ConfigError, match="weights="):
        InceptionFactory(str(path)).build(COLOUR, CPU)


def test_auto_takes_inception_for_colour_from_the_hub_cache(tmp_path, weights):
    cached = tmp_path / "torch" / "hub" / "checkpoints" / WEIGHTS.path.name
    cached.parent.mkdir(parents=True)
    cached.symlink_to(weights)
    assert isinstance(AutoFactory().build(labelled(3), CPU), InceptionFeatures)
    assert isinstance(AutoFactory().build(labelled(1), CPU), ClassifierFeatures)


def test_auto_uses_configured_weights_for_unlabelled_gray_data(weights):
    assert isinstance(AutoFactory(str(weights)).build(GREY, CPU), InceptionFeatures)


def test_auto_falls_back_to_the_classifier_with_one_line(caplog):
    with caplog.at_level(logging.WARNING, logger="ganforge"):
        assert isinstance(AutoFactory().build(labelled(3), CPU), ClassifierFeatures)
    fallen = [one for one in caplog.records if "fall back" in one.message]
    assert len(fallen) == 1
    assert "fall back from Inception" in caplog.text


@pytest.mark.parametrize("data", [GREY, COLOUR])
def test_auto_gives_up_loudly_where_nothing_fits(caplog, data):
    with caplog.at_level(logging.WARNING, logger="ganforge"):
        assert AutoFactory().build(data, CPU) is None
    assert "NO SCORES in this run" in caplog.text


def test_images_of_any_kind_become_colour():
    grey = noise_images(2)
    assert torch.equal(to_rgb(grey), grey.repeat(1, 3, 1, 1))
    clear = torch.cat([noise_images(2, channels=3), torch.zeros(2, 1, 4, 4).byte()], 1)
    assert (to_rgb(clear) == 255).all()
    opaque = torch.cat([clear[:, :3], torch.full((2, 1, 4, 4), 255).byte()], 1)
    assert torch.equal(to_rgb(opaque), clear[:, :3])
    grey_clear = torch.cat([grey, torch.zeros(2, 1, 4, 4).byte()], 1)
    assert torch.equal(to_rgb(grey_clear), torch.full((2, 3, 4, 4), 255).byte())


def test_the_weights_of_published_scores_have_no_suffix(weights, monkeypatch):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(inception, "PUBLISHED", digest)
    assert FrechetDistance().published("fid", InceptionFeatures(weights)) == "fid"
