import logging

import pytest
import torch
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from ganforge.data.images import to_float
from ganforge.errors import ConfigError
from ganforge.metrics import lpips as lpips_module
from ganforge.metrics.diversity import Diversity
from ganforge.metrics.evaluate import evaluate
from ganforge.metrics.image_pairs import ImagePairs
from ganforge.metrics.lpips_diversity import PerceptualDiversity
from ganforge.metrics.ms_ssim import MultiscaleSimilarity, scales_of
from tests.metrics.stand_ins import Glance, Pictures, noise_images

CPU = torch.device("cpu")


class MeanGap(Diversity):
    """The difference of the mean grey values of a pair."""

    number = "gap"

    def each(self, first, second):
        return (first.float().mean((1, 2, 3)) - second.float().mean((1, 2, 3))).abs()


def smooth(n, size, seed=0):
    small = noise_images(n, seed, size=4).float()
    large = torch.nn.functional.interpolate(small, (size, size), mode="bicubic")
    return large.clamp(0, 255).to(torch.uint8)


def judged(score, images, n=None, batch_size=7, data=None):
    data = data or Pictures(images)
    assert score.prepare(data, Glance(size=images.shape[-1]), CPU)
    sample = lambda count, start: to_float(images[start : start + count])  # noqa: E731
    look = Glance(size=images.shape[-1])
    (result,) = evaluate(
        sample, data, look, {score.number: score}, n or len(images), 0, batch_size
    ).values()
    return result


def test_image_i_is_held_against_its_partner_in_the_other_half():
    images = torch.tensor([0, 10, 20, 30, 1, 13, 26, 40]).to(torch.uint8)
    images = images.view(8, 1, 1, 1).expand(8, 1, 4, 4)
    result = judged(MeanGap(), images)
    assert result.value == pytest.approx((1 + 3 + 6 + 10) / 4)
    assert result.details["pairs"] == 4
    assert judged(MeanGap(pairs=2), images).value == pytest.approx(2)
    assert judged(MeanGap(), images[:3]).value == pytest.approx(10)  # one pair of three images


def test_neither_batches_nor_processes_change_the_pairs():
    rows = torch.arange(23)[:, None]
    whole = ImagePairs(4, 11)
    whole.update(rows)
    kept = torch.cat(whole.compute())
    assert kept.flatten().tolist() == [0, 1, 2, 3, 11, 12, 13, 14]
    parts = []
    for start, stop in ((0, 7), (7, 15), (15, 23)):  # shares of three processes
        share = ImagePairs(4, 11, first=start)
        for batch in rows[start:stop].split(3):
            share.update(batch)
        parts += share.rows
    assert torch.equal(torch.cat(parts), kept)


def test_similarity_is_that_of_torchmetrics():
    images = smooth(40, 180)
    assert scales_of(180) == 5
    score = MultiscaleSimilarity()
    expected = multiscale_structural_similarity_index_measure(
        images[:20].float() / 255, images[20:].float() / 255, data_range=1.0, normalize="relu"
    )
    result = judged(score, images)
    assert result.value == pytest.approx(float(expected), rel=1e-5)
    assert result.details["scales"] == 5


def test_of_small_images_there_are_fewer_scales():
    assert [scales_of(side) for side in (8, 11, 28, 32, 64, 128, 176)] == [0, 2, 2, 2, 3, 4, 5]
    first, second = smooth(3, 32, 1), smooth(3, 32, 2)
    score = MultiscaleSimilarity()
    score.prepare(Pictures(first), Glance(), CPU)
    halves = [torch.nn.functional.avg_pool2d(one.float() / 255, 2) for one in (first, second)]
    whole = [one.float() / 255 for one in (first, second)]
    similar, _ = [structural_similarity_index_measure(*halves, reduction="none", data_range=1.0), 0]
    _, contrast = structural_similarity_index_measure(
        *whole, reduction="none", data_range=1.0, return_contrast_sensitivity=True
    )
    # Weights 0.0448 and 0.2856, scaled to add up to 1.
    a, b = 0.0448 / 0.3304, 0.2856 / 0.3304
    expected = contrast.clamp(min=0) ** a * similar.clamp(min=0) ** b
    assert torch.allclose(score.each(first, second), expected, rtol=1e-4)


def test_duplicates_are_less_diverse():
    varied = smooth(40, 32)
    found = []
    for copies in (0, 5, 10, 20):
        images = varied.clone()
        images[:copies] = images[20 : 20 + copies]
        found.append(judged(MultiscaleSimilarity(), images).value)
    assert found == sorted(found)
    assert found[0] < 0.6
    assert found[-1] == pytest.approx(1)


def test_images_smaller_than_the_window_and_points_are_refused():
    with pytest.raises(ConfigError, match="window of 11 x 11 pixels, and the images are 8 x 8"):
        MultiscaleSimilarity().prepare(Pictures(noise_images(4, size=8)), Glance(), CPU)
    with pytest.raises(ConfigError, match="diversity_lpips: pairs must be at least 1, got 0"):
        PerceptualDiversity(pairs=0)


def test_lpips_is_that_of_the_pairs(tmp_path, monkeypatch):
    from torchvision.models import alexnet

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        path = tmp_path / "hub" / "checkpoints" / lpips_module.URLS["alex"].rpartition("/")[2]
        path.parent.mkdir(parents=True)
        torch.save(alexnet().state_dict(), path)
    images = noise_images(8, channels=3, size=64)
    score = PerceptualDiversity()
    data = Pictures(images)
    assert score.prepare(data, Glance(3, 64), CPU)
    score.device = CPU
    pairs = score.each(images[:4], images[4:])
    assert pairs.shape == (4,)
    assert (pairs > 0).all()
    assert torch.allclose(score.each(images, images), torch.zeros(8), atol=1e-6)


def test_lpips_is_left_out_where_its_weights_cannot_be_had(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    data = Pictures(noise_images(4, channels=3, size=64))
    with caplog.at_level(logging.WARNING, logger="ganforge"):
        assert not PerceptualDiversity().prepare(data, Glance(), CPU)
    assert "NO diversity_lpips in this run: " in caplog.text
    assert "Name or service not known" in caplog.text
