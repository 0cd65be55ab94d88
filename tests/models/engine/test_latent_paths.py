import math

import pytest
import torch

from ganforge.config.compose import compose_config
from ganforge.models.engine.latent_paths import Given, LatentPaths, slerp
from ganforge.models.engine.sampling import truncated_latents
from ganforge.runs.load import build_model
from ganforge.streams import Noise, Stream, Substream, mix
from tests.support.configs import tiny
from tests.support.games import game


def test_positions_on_the_arc_of_hand_chosen_latents():
    first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    half = slerp(first, second, torch.tensor([[0.5]]))
    assert torch.allclose(half, torch.full((1, 2), 0.5**0.5))
    third = slerp(first, second, torch.tensor([[1 / 3]]))
    assert torch.allclose(third, torch.tensor([[3**0.5 / 2, 0.5]]))


def test_arcs_begin_and_end_where_they_should_and_lengths_change_evenly():
    draws = torch.Generator().manual_seed(0)
    first, second = (torch.randn(50, 8, generator=draws) * scale for scale in (1, 3))
    for place, expected in ((0.0, first), (1.0, second)):
        assert torch.allclose(slerp(first, second, torch.full((50, 1), place)), expected, atol=1e-5)
    middle = slerp(first, second, torch.full((50, 1), 0.5)).norm(dim=1)
    assert torch.allclose(middle, (first.norm(dim=1) + second.norm(dim=1)) / 2, rtol=1e-5)


def test_only_the_first_gaussian_draw_is_replaced():
    latents = torch.ones(4, 3)
    given, free = Given(Noise(1, 4), latents), Noise(1, 4)
    assert given.normal(3) is latents
    assert torch.equal(given.normal(3), free.normal(3))
    assert torch.equal(given.fork().normal(2), free.fork().normal(2))


def test_images_of_a_path_are_those_of_its_latents():
    model = game()
    paths = LatentPaths(model, seed=5, weights="raw")
    assert paths.space == "z"
    near, far = paths(0, 0.25)
    assert near.shape == far.shape == (64, 1, 8, 8)
    assert not torch.equal(near, far)
    again, nearer = paths(0, 1e-3)
    assert torch.equal(near, again)
    assert (nearer - near).abs().max() < (far - near).abs().max() / 20
    assert not torch.equal(paths(1, 0.25)[0], near)
    with torch.no_grad():
        model.generator.eval()
    assert not torch.equal(LatentPaths(model, 6, "raw")(0, 0.25)[0], near)


def test_paths_do_not_change_training():
    model = game()
    before = torch.get_rng_state()
    model.train()
    LatentPaths(model, seed=5)(0, 0.1)
    assert torch.equal(before, torch.get_rng_state())
    assert model.generator.training


@pytest.mark.parametrize("name", ["dcgan", "cgan", "infogan", "biggan", "pggan"])
def test_paths_through_the_latents_of_every_model(name):
    model = build_model(tiny(f"model={name}"))
    paths = LatentPaths(model, seed=1)
    near, far = paths(0, 1e-2)
    assert paths.space == "z"
    assert near.shape[1:] == model.sample(1).shape[1:]
    assert 0 < (near - far).abs().mean() < 0.1


def test_other_draws_are_equal_at_both_points_and_independent_of_the_latents(monkeypatch):
    model, drawn = game(), []

    def generate(player, noise, labels):
        drawn.append(noise.uniform(3))
        return torch.zeros(64, 1, 8, 8)

    monkeypatch.setattr(model, "generate", generate)
    LatentPaths(model, seed=1)(0, 0.1)
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0], Noise(mix(1, Substream.ENDS, 0), 64).uniform(3))


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
def test_paths_of_style_based_models_are_straight_lines_in_w(name):
    model = build_model(tiny(f"model={name}"))
    paths = LatentPaths(model, seed=1, weights="raw")
    assert paths.space == "w"
    start = paths(0, 0.0)
    assert torch.equal(*start)  # noise maps are the same for both
    near, far = paths(0, 1e-2)
    assert torch.equal(near, start[0])
    assert 0 < (near - far).abs().mean() < 0.1


def test_of_truncated_samples_the_ends_are_truncated_and_the_path_does_not_jump(monkeypatch):
    model, seen = build_model(tiny("model=biggan")), []
    model.truncation = 0.5

    def images(z, labels=None):
        seen.append(z)
        return torch.zeros(len(z), 1, 8, 8)

    monkeypatch.setattr(model.averaged("ema"), "forward", images)
    LatentPaths(model, seed=1)(0, 1e-3)
    near, far = seen
    noise = Noise(mix(1, Substream.ENDS, 0), 64)
    ends = [truncated_latents(noise, near.shape[1], 0.5) for _ in range(2)]
    places = Noise(mix(1, Stream.PLACES, 0), 64).uniform(1)
    assert torch.equal(near, slerp(*ends, places))
    # An arc is at most half a turn long, and lengths change by less than the longer one's.
    longest = torch.stack(ends).norm(dim=2).amax(0)
    assert ((far - near).norm(dim=1) < 1e-3 * (math.pi + 1) * longest).all()
    assert model.truncation == 0.5


def test_an_overridden_truncation_reaches_the_path():
    model = build_model(tiny("model=stylegan2"))
    model.truncation = 0.0  # all styles are their mean: nothing moves
    near, far = LatentPaths(model, seed=1, weights="raw")(0, 0.5)
    assert torch.equal(near, far)
    assert compose_config(["metrics=[perceptual_path_length]"]).metrics
