from __future__ import annotations

import math

import pytest
import torch

from ganforge.data.sets.points import Grid25, Ring8
from ganforge.errors import ConfigError
from ganforge.metrics.features.auto import AutoFactory
from ganforge.metrics.features.points import PointFactory, PointFeatures
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.kernel import KernelDistance
from ganforge.metrics.scores.modes import (
    HighQuality,
    ModeDivergence,
    ModeHistograms,
    ModesCovered,
    count_modes,
    mode_divergence,
)
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images

CPU = torch.device("cpu")


def scores():
    return {"modes": ModesCovered(), "high_quality": HighQuality(), "mode_kl": ModeDivergence()}


def scored(data, sample, n=2000, **metrics):
    extractor = AutoFactory().build(data, CPU)
    found = evaluate(sample, data, extractor, metrics or scores(), n, 0, batch_size=500)
    return {name: result.value for name, result in found.items()}


def from_modes(data, modes, away=0.0):
    """Samples that lie on the given modes in turn, ``away`` deviations to the right."""
    mixture = data.mixture

    def sample(n, start):
        chosen = torch.tensor(modes)[(torch.arange(n) + start) % len(modes)]
        shift = torch.tensor([away * mixture.sigma, 0.0])
        return (mixture.centres[chosen] + shift).view(n, 2, 1, 1)

    return sample


@pytest.mark.parametrize("kind", [Ring8, Grid25])
def test_real_points_cover_all_modes(kind):
    data = kind()
    found = scored(data, lambda n, start: data.reals(n, "test", start)[0])
    assert found["modes"] == data.mixture.modes
    # A two-dimensional Gaussian is within three deviations with probability 1 - exp(-9/2).
    expected = 1 - math.exp(-4.5)
    spread = math.sqrt(expected * (1 - expected) / 2000)
    assert found["high_quality"] == pytest.approx(expected, abs=4 * spread)
    assert 0 < found["mode_kl"] < 0.03


def test_a_collapsed_generator_covers_one_mode():
    data = Ring8()
    found = scored(data, from_modes(data, [3]))
    assert found["modes"] == 1
    assert found["high_quality"] == 1
    share = float((data.reals(2000)[1] == 3).double().mean())
    assert found["mode_kl"] == pytest.approx(-math.log(share))


@pytest.mark.parametrize(("away", "quality"), [(2.9, 1.0), (3.1, 0.0)])
def test_high_quality_ends_at_three_deviations(away, quality):
    data = Grid25()
    found = scored(data, from_modes(data, list(range(25)), away))
    assert found["high_quality"] == quality
    assert found["modes"] == 25 * quality
    assert found["mode_kl"] < 0.03  # the nearest mode counts, near or not


def test_the_divergence_of_two_histograms():
    fake, real = torch.tensor([30, 10]), torch.tensor([50, 50])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert mode_divergence(fake, real) == pytest.approx(expected)
    assert mode_divergence(real, 3 * real) == 0
    # A mode that no real image fell into counts as half of one.
    unseen = mode_divergence(torch.tensor([0, 4]), torch.tensor([8, 0]))
    assert unseen == pytest.approx(-math.log(0.5 / 8.5))


def test_counts_take_the_highest_logit_and_its_height():
    logits = torch.tensor([[-1.0, -5.0], [-9.0, -4.6], [-4.4, -60.0]])
    everything, good = count_modes(logits, radius=3.0)
    assert everything.tolist() == [2, 1]
    assert good.tolist() == [2, 0]


def test_counts_do_not_depend_on_batches():
    logits = -torch.rand(9000, 5, generator=torch.Generator().manual_seed(0)) * 10
    whole, parts = ModeHistograms(5), ModeHistograms(5)
    whole.update(logits, real=False)
    for part in torch.split(logits, 700):
        parts.update(part, real=False)
    assert torch.equal(whole.fake, parts.fake)
    assert torch.equal(whole.good, parts.good)
    assert math.isnan(whole.compute()["mode_kl"])
    assert whole.compute()["modes"] == parts.compute()["modes"]


def test_other_scores_keep_their_meaning_on_points():
    data = Ring8()

    def collapsed(n, start):
        return from_modes(data, [0])(n, start)

    kid = KernelDistance(subsets=2, subset_size=200)
    names = {"fid": FrechetDistance(), "kid": kid, "is": InceptionScore(splits=1)}
    alike = scored(data, lambda n, start: data.reals(n, "test", start)[0], **names)
    apart = scored(data, collapsed, **names)
    assert alike["fid_points"] < 1e-3
    # |m|^2 + trace of the ring's covariance: 0.8^2 + 0.8^2, and nothing for the collapsed cloud.
    assert apart["fid_points"] == pytest.approx(1.28, abs=0.06)
    assert alike["is_points"] == pytest.approx(8, abs=0.05)
    assert apart["is_points"] == pytest.approx(1)
    assert apart["kid_points"] > alike["kid_points"]


def test_points_are_scored_without_rounding():
    data = Grid25()
    extractor = PointFactory().build(data, CPU)
    assert isinstance(extractor, PointFeatures)
    assert extractor.takes_floats
    shown, labels = data.reals(100)
    seen = extractor(shown)
    assert torch.equal(seen.features, shown.flatten(1))
    assert torch.equal(seen.logits.argmax(1), labels)
    assert list(extractor.parameters()) == []


def test_images_have_no_mixture():
    with pytest.raises(ConfigError, match="use data=ring8 or data=grid25"):
        PointFactory().build(Pictures(noise_images(4)), CPU)


def test_a_radius_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="modes: radius must be above 0, got 0"):
        ModesCovered(radius=0.0)


def test_an_extractor_that_names_no_modes_is_refused():
    pictures = Pictures(noise_images(8))
    with pytest.raises(
        ConfigError, match="features=glance has no logits for those of data=pictures"
    ):
        ModesCovered().prepare(pictures, Glance(), CPU)
    assert ModesCovered().prepare(Ring8(), PointFactory().build(Ring8(), CPU), CPU)
