import logging

import pytest
import torch

from ganforge.data.images import to_float
from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.features.classifier_training import shrink
from ganforge.metrics.pairs import lpips as lpips_module
from ganforge.metrics.pairs.score import check_metrics
from ganforge.metrics.scores.path_length import PathLength, without_outliers
from tests.metrics.stand_ins import Pictures, evaluate, noise_images
from tests.support.forking import fork, wait

CPU = torch.device("cpu")
DATA = Pictures(noise_images(40, channels=3, size=4))


class Mean(FeatureExtractor):
    """The mean of each channel, of pixels in 0 ... 255."""

    name, suffix, num_features, num_logits = "mean", "_mean", 3, 0

    def __init__(self):
        super().__init__()
        self.register_buffer("zero", torch.zeros(1))
        self.protocol = {"features": "mean", "resize": "none"}

    @property
    def device(self):
        return CPU

    def forward(self, images):
        return Features(images.float().mean((2, 3)), torch.zeros(len(images), 0))


class Ramps:
    """Paths on which pixels rise evenly, path i by speed(i) from black to white."""

    size, space = 64, "z"

    def __init__(self, speed=lambda path: 1.0):
        self.speed = speed

    def __call__(self, block, epsilon):
        numbers = range(64 * block, 64 * block + 64)
        rise = torch.tensor([self.speed(path) * epsilon for path in numbers])
        near = torch.full((64, 3, 4, 4), -0.5)
        return near, near + rise.view(-1, 1, 1, 1)


@pytest.fixture(autouse=True)
def no_network(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)


def scored(paths, score=None, **more):
    score = score or PathLength(paths=192, epsilon=1e-2)
    assert score.prepare(DATA, Mean(), CPU)
    sample = lambda n, start: to_float(DATA.images[start : start + n])  # noqa: E731
    scores = {"perceptual_path_length": score}
    found = evaluate(sample, DATA, Mean(), scores, 10, 0, 5, paths=paths, **more)
    return next(iter(found.items()))


def test_the_length_of_an_even_ramp_is_its_squared_speed():
    name, result = scored(Ramps(lambda path: 3.0))
    assert name == "feature_path_length_mean"
    # 3 channels, each (127.5 * 3)^2 whatever epsilon.
    assert result.value == pytest.approx(3 * (127.5 * 3) ** 2, rel=1e-3)
    assert result.details["distance"] == "features"
    assert (result.details["paths"], result.details["space"]) == (192, "z")
    assert result.n_real == 0


def test_a_generator_that_stands_still_has_no_length():
    assert scored(Ramps(lambda path: 0.0))[1].value == 0


def test_rougher_spaces_are_longer():
    found = [scored(Ramps(lambda path, s=speed: s))[1].value for speed in (0.5, 1.0, 2.0)]
    assert found[1] / found[0] == pytest.approx(4, rel=1e-2)
    assert found[2] / found[1] == pytest.approx(4, rel=1e-2)


def test_outliers_are_left_out():
    lengths = torch.arange(200.0, dtype=torch.float64)
    kept = without_outliers(lengths)
    # Percentiles fall on 1.99 and 197.01, and are rounded outwards.
    assert (float(kept.min()), float(kept.max()), len(kept)) == (1.0, 198.0, 198)
    assert torch.equal(without_outliers(torch.ones(5)), torch.ones(5))
    spoiled = Ramps(lambda path: 40.0 if path == 7 else 1.0)
    assert scored(spoiled)[1].value == pytest.approx(scored(Ramps())[1].value, rel=1e-6)


def test_paths_come_in_whole_blocks():
    result = scored(Ramps(), PathLength(paths=65))[1]
    assert result.details["paths"] == 128


@pytest.mark.parametrize("world", [2, 4])
def test_processes_find_what_one_finds(tmp_path, world):
    paths = Ramps(lambda path: 1 + path / 50)

    def work(rank):
        def child():
            torch.set_num_threads(1)
            torch.distributed.init_process_group(
                "gloo", init_method=f"file://{tmp_path}/meet", rank=rank, world_size=world
            )
            torch.save(scored(paths, rank=rank, world=world)[1].value, tmp_path / f"{rank}.pt")

        return child

    children = [fork(work(rank)) for rank in range(world)]
    assert [wait(pid) for pid in children] == [0] * world
    whole = scored(paths)[1].value
    assert {torch.load(tmp_path / f"{rank}.pt") for rank in range(world)} == {whole}


def test_lpips_is_used_if_available(tmp_path):
    from torchvision.models import alexnet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        path = tmp_path / "hub" / "checkpoints" / lpips_module.URLS["alex"].rpartition("/")[2]
        path.parent.mkdir(parents=True)
        torch.save(alexnet().state_dict(), path)
    score = PathLength(network="alex")
    assert score.prepare(Pictures(noise_images(4, channels=3, size=32)), Mean(), CPU)
    assert score.published("perceptual_path_length", Mean()) == "perceptual_path_length"
    images = to_float(noise_images(4, channels=3, size=32))
    assert (score.distances(images, images.flip(0)) > 0).all()
    assert score.distances(images, images).max() < 1e-6
    assert score.protocol()["distance"] == "lpips-alex"


def test_the_replacement_of_lpips_is_logged(caplog):
    with caplog.at_level(logging.WARNING, logger="ganforge"):
        data = Pictures(noise_images(4, channels=3, size=32))
        assert PathLength().prepare(data, Mean(), CPU)
    assert "feature_path_length replaces perceptual_path_length" in caplog.text
    assert "Name or service not known" in caplog.text


def test_the_classifier_gets_floats_without_rounding():
    images = noise_images(3, size=48).float() + 0.25
    small = shrink(images)
    assert small.dtype == torch.float32
    assert small.shape == (3, 1, 32, 32)
    assert torch.equal(shrink(images.floor().byte()).float(), shrink(images.floor()).round())


def test_images_that_come_from_no_latents_are_refused():
    with pytest.raises(ConfigError, match="needs the latent space of a model"):
        scored(None)
    with pytest.raises(ConfigError, match="metrics=ppl needs the latent space"):
        check_metrics({"ppl": PathLength()}, DATA, [])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"paths": 0}, "paths must be at least 1, got 0"),
        ({"epsilon": 0.0}, "epsilon must be between 0 and 1, got 0.0"),
        ({"network": "resnet"}, "network must be one of alex, vgg"),
    ],
)
def test_bad_values_are_refused(more, message):
    with pytest.raises(ConfigError, match=message):
        PathLength(**more)
