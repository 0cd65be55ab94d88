from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.regularizers.consistency import BalancedConsistency, Consistency, move_slightly
from ganforge.regularizers.latent_consistency import LatentConsistency
from ganforge.regularizers.latent_diversity import LatentDiversity
from ganforge.streams import Noise
from tests.regularizers.turns import LATENT, SHAPE, Linear, context


def context_and_noise(noise: Noise, **changes):
    """A turn of the discriminator: logits of both sides are there."""
    at_hand = context(noise, **changes)
    logits = {"real_logits": at_hand.critic(at_hand.real)}
    return context(Noise(noise.seed, noise.rows), **changes | logits), at_hand.noise


def test_a_linear_critic_is_inconsistent_by_what_moves():
    """D(x) - D(T(x)) = w.(x - T(x)) for D(x) = w.x."""
    at_hand, noise = context_and_noise(Noise(5, 6))
    w = at_hand.discriminator.matrix.sum(0)
    changed = move_slightly(at_hand.real_images, noise, 1, True)
    expected = ((at_hand.real_images - changed).flatten(1) @ w).square().mean()
    torch.testing.assert_close(Consistency(shift=1).term(at_hand), expected)


def test_both_logits_get_a_gradient():
    at_hand, _ = context_and_noise(Noise(5, 6))
    logits = torch.zeros(6, requires_grad=True)
    term = Consistency(shift=1).change(at_hand, at_hand.real_images, logits)
    term.backward()
    assert logits.grad is not None
    assert (logits.grad != 0).all()
    assert at_hand.discriminator.matrix.grad is not None


def test_balance_adds_the_same_at_fakes():
    at_hand, noise = context_and_noise(Noise(5, 6))
    w = at_hand.discriminator.matrix.sum(0)
    terms = []
    for images in (at_hand.fake_images, at_hand.real_images):  # in the order of their draws
        changed = move_slightly(images, noise, 1, True)
        terms.append(((images - changed).flatten(1) @ w).square().mean())
    ours = BalancedConsistency(shift=1, fake=0.5).term(at_hand)
    torch.testing.assert_close(ours, 0.5 * terms[0] + terms[1])


def test_a_critic_that_sees_sums_is_consistent_under_flips():
    at_hand, _ = context_and_noise(Noise(5, 6))
    total = {"critic": lambda x: x.flatten(1).sum(1)}
    at_hand = context(Noise(5, 6), **total, real_logits=at_hand.real_images.flatten(1).sum(1))
    assert Consistency(shift=0).term(at_hand).item() == pytest.approx(0, abs=1e-8)
    assert Consistency(shift=1, flip=False).term(at_hand).item() > 0


def test_discriminator_inputs_are_augmented():
    seen = []

    def augment(images):
        seen.append(images)
        return 2 * images

    at_hand, _ = context_and_noise(Noise(5, 6), augment=augment)
    Consistency(shift=1).term(at_hand)
    assert len(seen) == 1  # the reals' own logits are there already


def test_images_move_by_few_pixels_and_half_are_mirrored():
    images = torch.arange(64.0).reshape(1, 1, 8, 8).expand(400, 1, 8, 8)
    mirrored = move_slightly(images, Noise(1, 400), 0, True)
    same = (mirrored == images).flatten(1).all(1)
    assert same.float().mean().item() == pytest.approx(0.5, abs=0.06)
    assert torch.equal(mirrored[~same][0], images[0].flip(2))
    moved = move_slightly(images, Noise(1, 400), 2, False)[:, 0, 4, 4]
    offsets = {(int(v) // 8 - 4, int(v) % 8 - 4) for v in moved}
    assert offsets == {(row, column) for row in range(-2, 3) for column in range(-2, 3)}


def test_linear_players_differ_by_the_step():
    """D(G(z)) - D(G(z + e)) = -w.A e, whatever z."""
    at_hand, noise = context_and_noise(Noise(5, 6))
    w = at_hand.discriminator.matrix.sum(0)
    change = 0.2 * noise.normal(LATENT) @ at_hand.generator.matrix.T @ w
    term = LatentConsistency(sigma=0.2).term(at_hand)
    torch.testing.assert_close(term, change.square().mean())


def test_the_discriminators_side_leaves_the_generator():
    at_hand, _ = context_and_noise(Noise(5, 6), fake_logits=torch.zeros(6))
    LatentConsistency().term(at_hand).backward()
    assert at_hand.generator.matrix.grad is None
    assert at_hand.discriminator.matrix.grad is not None


def test_a_linear_generators_images_differ_by_the_step():
    """-E|A e|^2 over the values of an image; its derivative drives A apart."""
    noise = Noise(5, 6)
    at_hand = context(noise)
    later = Noise(5, 6)
    later.normal(LATENT)
    e = 0.2 * later.normal(LATENT)
    matrix = Linear().matrix
    expected = -(e @ matrix.T).square().mean()
    term = LatentDiversity(sigma=0.2).term(at_hand)
    torch.testing.assert_close(term, expected)
    ours = torch.autograd.grad(term, at_hand.generator.matrix)[0]
    torch.testing.assert_close(ours, torch.autograd.grad(expected, matrix)[0], atol=1e-6, rtol=1e-3)
    assert LatentDiversity.player == "generator"
    assert at_hand.fake_images.shape[1:] == SHAPE


@pytest.mark.parametrize("kind", [Consistency, BalancedConsistency])
def test_refusals_of_transformations(kind):
    with pytest.raises(ConfigError, match="shift must be at least 0, got -1"):
        kind(shift=-1)
    with pytest.raises(ConfigError, match="do not change any image"):
        kind(shift=0, flip=False)
    with pytest.raises(ConfigError, match="fake must be at least 0"):
        BalancedConsistency(fake=-1.0)


@pytest.mark.parametrize("kind", [LatentConsistency, LatentDiversity])
def test_refusals_of_steps(kind):
    with pytest.raises(ConfigError, match=f"{kind.__name__}: sigma must be above 0, got 0"):
        kind(sigma=0.0)
