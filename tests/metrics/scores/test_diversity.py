import logging

import pytest
import torch
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from ganforge.data.images import to_float
from ganforge.errors import ConfigError
from ganforge.metrics.pairs import lpips as lpips_module
from ganforge.metrics.scores.diversity import (
    Diversity,
    ImagePairs,
    MultiscaleSimilarity,
    PerceptualDiversity,
    scales_of,
)
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images

CPU = torch.device("cpu")


class MeanGap(Diversity):
    """The difference of the mean gray values of a pair."""

    name = "gap"

    def each(self, first, second):
        return (first.float().mean((1, 2, 3)) - second.float().mean((1, 2, 3))).abs()


def smooth(n, size, seed=0):
    small = noise_images(n, seed, size=4).float()
    large = torch.nn.functional.interpolate(small, (size, size), mode="bicubic")
    return large.clamp(0, 255).to(torch.uint8)


def scored(score, images, n=None, batch_size=7, data=None):
    data = data or Pictures(images)
    assert score.prepare(data, Glance(size=images.shape[-1]), CPU)
    sample = lambda count, start: to_float(images[start : start + count])  # noqa: E731
    extractor = Glance(size=images.shape[-1])
    (result,) = evaluate(
        sample, data, extractor, {score.name: score}, n or len(images), 0, batch_size
    ).values()
    return result


def test_the_number_is_that_of_the_drawn_pairs():
    images = torch.tensor([0, 10, 20, 30, 1, 13, 26, 40]).to(torch.uint8)
    images = images.view(8, 1, 1, 1).expand(8, 1, 4, 4)
    whole = ImagePairs(4, 8, seed=0)
    whole.update(images.flatten(1))
    gaps = [abs(float(a[0]) - float(b[0])) for a, b in zip(*whole.compute(), strict=True)]
    result = scored(MeanGap(), images)
    assert result.value == pytest.approx(sum(gaps) / 4)
    assert result.details["pairs"] == 4
    assert result.details["pairing"] == "random"
    assert scored(MeanGap(pairs=2), images).details["pairs"] == 2
    assert scored(MeanGap(), images[:3]).details["pairs"] == 1


def test_pairs_share_no_image_and_follow_from_the_seed():
    def pairs(seed):
        metric = ImagePairs(5, 11, seed)
        metric.update(torch.arange(11)[:, None])
        return torch.cat(metric.compute()).flatten().tolist()

    assert len(set(pairs(0))) == 10
    assert pairs(0) == pairs(0)
    assert len({tuple(pairs(seed)) for seed in range(8)}) == 8


@pytest.mark.parametrize("n", [2000, 2002, 2010])
def test_the_order_of_classes_is_of_no_account(n):
    # Ten classes in turn: n / 2 apart, images are all of one class, or none are.
    images = (torch.arange(n) % 10).to(torch.uint8).view(n, 1, 1, 1).expand(n, 1, 2, 2)
    gap = scored(MeanGap(), images, batch_size=500).value
    # The mean of |i - j| over two of ten classes is 3.3, and its standard deviation 2.37.
    assert gap == pytest.approx(3.3, abs=4 * 2.37 / 500**0.5)


def test_neither_batches_nor_processes_change_the_pairs():
    rows = torch.arange(23)[:, None]
    whole = ImagePairs(4, 23, seed=1)
    whole.update(rows)
    kept = torch.cat(whole.compute())
    parts = []
    for start, stop in ((0, 7), (7, 15), (15, 23)):  # shares of three processes
        share = ImagePairs(4, 23, seed=1, first=start)
        for batch in rows[start:stop].split(3):
            share.update(batch)
        parts += share.rows
    assert torch.equal(torch.cat(parts).flatten(), whole.drawn.sort().values)
    assert torch.equal(kept.flatten(), whole.drawn)  # row i holds i


def test_similarity_is_that_of_torchmetrics():
    images = smooth(40, 180)
    assert scales_of(180) == 5
    score = MultiscaleSimilarity()
    pairs = ImagePairs(20, 40, seed=0)
    pairs.update(images.flatten(1))
    first, second = (rows.view(20, 1, 180, 180).float() / 255 for rows in pairs.compute())
    expected = multiscale_structural_similarity_index_measure(
        first, second, data_range=1.0, normalize="relu"
    )
    result = scored(score, images)
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
    for copies in (1, 25, 40):
        images = varied.clone()
        images[:copies] = images[0]
        found.append(scored(MultiscaleSimilarity(), images).value)
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


def test_lpips_is_left_out_without_its_weights(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    data = Pictures(noise_images(4, channels=3, size=64))
    with caplog.at_level(logging.WARNING, logger="ganforge"):
        assert not PerceptualDiversity().prepare(data, Glance(), CPU)
    assert "NO diversity_lpips in this run: " in caplog.text
    assert "Name or service not known" in caplog.text
