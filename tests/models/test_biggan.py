from __future__ import annotations

import math

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.losses.hinge import HingeLoss
from ganforge.models.biggan import BigGAN
from ganforge.models.engine.sampling import truncated_latents
from ganforge.networks.biggan import BigGANDiscriminator, BigGANGenerator
from ganforge.streams import Noise
from tests.support import games

THRESHOLDS = [0.04, 0.5, 1.0, 2.0]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_truncated_latents_have_the_truncated_normal_distribution(threshold):
    """Variance 1 - 2 t phi(t) / (2 Phi(t) - 1), and half of the values below 0."""
    z = truncated_latents(Noise(0, 1000), 100, threshold)
    assert z.abs().max() <= threshold
    density = math.exp(-(threshold**2) / 2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * threshold * density / math.erf(threshold / math.sqrt(2))
    assert z.var().item() == pytest.approx(variance, rel=0.02)
    assert (z < 0).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_redrawn_values_are_distributed_like_the_others():
    free, z = Noise(1, 1000).normal(50), truncated_latents(Noise(1, 1000), 50, 1.0)
    fits = free.abs() <= 1
    assert torch.equal(z[fits], free[fits])
    # Quartiles of |z| below 1: erf(q / sqrt(2)) = k / 4 erf(1 / sqrt(2)).
    shares = torch.tensor([0.25, 0.5, 0.75]) * math.erf(math.sqrt(0.5))
    quartiles = math.sqrt(2) * torch.erfinv(shares)
    for part in (z[fits], z[~fits]):
        found = part.abs().quantile(torch.tensor([0.25, 0.5, 0.75]))
        torch.testing.assert_close(found, quartiles, atol=0.015, rtol=0)


def test_latents_belong_to_their_rows():
    """Whoever draws them: one process or two, in one part or in three."""
    whole = truncated_latents(Noise(2, 6), 4, 0.5)
    parts = [truncated_latents(part, 4, 0.5) for part in Noise(2, 6).split(3)]
    assert torch.equal(torch.cat(parts), whole)
    ranks = [truncated_latents(Noise(2, 3, rank=rank, world=2), 4, 0.5) for rank in (0, 1)]
    assert torch.equal(torch.stack(ranks, 1).flatten(0, 1), whole)


def test_a_threshold_that_nothing_passes_changes_nothing():
    assert torch.equal(truncated_latents(Noise(3, 8), 4, 20.0), Noise(3, 8).normal(4))


def test_samples_are_truncated_and_belong_to_their_indices():
    model = games.game(BigGAN, truncation=0.5)
    seen: list[torch.Tensor] = []
    model.average.module.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    images = model.sample(8, seed=5)
    assert torch.cat(seen).abs().max() <= 0.5
    assert torch.equal(model.sample(5, seed=5, start=2), images[2:7])
    model.truncation = None
    assert not torch.equal(model.sample(8, seed=5), images)
    assert torch.equal(model.sample(8, seed=5), games.game().sample(8, seed=5))


def test_training_knows_no_truncation(tmp_path):
    free, truncated = games.game(BigGAN), games.game(BigGAN, truncation=0.1)
    for model in (free, truncated):
        games.fit(model, tmp_path, max_steps=2)
    games.assert_equal(games.weights(free), games.weights(truncated))


@pytest.mark.parametrize("labelled", [False, True])
def test_real_steps(tmp_path, labelled):
    """Hinge losses between the small networks of the paper's kind, two critic steps."""
    torch.manual_seed(0)
    classes = 3 if labelled else 0
    steered = {"num_classes": classes, "conditioning": "normalization"} if labelled else {}
    projected = {"num_classes": classes, "conditioning": "projection"} if labelled else {}
    model = games.game(
        BigGAN,
        generator=BigGANGenerator(16, 1, 6, 2, shared_dim=4, attention=[8], **steered),
        discriminator=BigGANDiscriminator(16, 1, 2, attention=[8], **projected),
        loss=HingeLoss(),
        critic_steps=2,
        num_classes=classes,
    )
    before = games.weights(model)
    games.fit(model, tmp_path, games.images(16, num_classes=classes), max_steps=2)
    after = games.weights(model)
    for player in ("generator", "discriminator"):
        names = [n for n in before if n.startswith(f"{player}.") and n.endswith("weight.original")]
        assert names
        assert all(
            not torch.equal(before[name], after[name]) for name in names if "attention" not in name
        )
    assert model.sample(4).shape == (4, 1, 16, 16)


@pytest.mark.parametrize("threshold", [0.0, -1.0])
def test_refuses_thresholds(threshold):
    with pytest.raises(ConfigError, match="truncation must be above 0 or null"):
        games.game(BigGAN, truncation=threshold)
