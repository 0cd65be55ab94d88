from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.errors import ConfigError
from ganforge.models.engine.averaging import ExponentialMovingAverage
from ganforge.models.engine.progressive import Growth
from ganforge.models.style_based import crossovers
from ganforge.models.stylegan import StyleGAN
from ganforge.networks.layers.styles import NoiseInput
from ganforge.networks.pggan import PGGANGenerator
from ganforge.networks.stylegan import StyleGANDiscriminator, StyleGANGenerator
from ganforge.regularizers.latent_consistency import LatentConsistency
from ganforge.regularizers.path_length import PathLength
from ganforge.streams import Noise
from tests.support import games

SIZE, LATENT, W = 16, 4, 5


def networks(classes: int = 0) -> dict[str, nn.Module]:
    """Two small players, always the same, whose noise inputs count."""
    torch.manual_seed(0)
    labels = {"num_classes": classes, "conditioning": "concatenation"} if classes else {}
    augmented = {"num_classes": classes, "conditioning": "projection"} if classes else {}
    sizes = {"width": 4, "full_width": 8}
    generator = StyleGANGenerator(
        SIZE, 1, latent_dim=LATENT, w_dim=W, mapping_layers=2, **sizes, **labels
    )
    for layer in generator.modules():
        if isinstance(layer, NoiseInput):
            nn.init.normal_(layer.scale)
    discriminator = StyleGANDiscriminator(SIZE, 1, **sizes, minibatch_stddev=2, **augmented)
    return {"generator": generator, "discriminator": discriminator}


def game(classes: int = 0, growth: Growth | None = None, **changes) -> StyleGAN:
    """One that does not grow, but for another ``growth``."""
    growth = growth or Growth(SIZE, start_size=SIZE)
    return games.game(StyleGAN, **networks(classes), growth=growth, num_classes=classes, **changes)


def fit(model: StyleGAN, root, steps: int = 2, classes: int = 0, **settings):
    images = games.images(SIZE, num_classes=classes)
    return games.fit(model, root, images, max_steps=steps, **settings)


# ---------------------------------------------------------------------- while it learns


@pytest.mark.parametrize("classes", [0, 3])
def test_real_steps_through_growth(tmp_path, classes):
    model = game(classes, Growth(SIZE, 4, stable_images=8, fade_images=8))
    before = games.weights(model)
    fit(model, tmp_path, 6, classes)
    assert (model.images_seen, model.generator.level.stage) == (48, 2)
    after = games.weights(model)
    still = [name for name in before if torch.equal(before[name], after[name])]
    # The embedding of labels in the discriminator's head learns as well, and so does every layer.
    assert [name for name in still if "kernel" not in name and "alpha" not in name] == []
    assert model.sample(3).shape == (3, 1, SIZE, SIZE)


def test_the_mean_of_w_is_that_of_the_generators_updates(tmp_path):
    """At a learning rate of 0 the mapping stays, and the latents are known."""
    seen: list[torch.Tensor] = []
    model = game(generator_optimizer=partial(torch.optim.SGD, lr=0.0), style_mixing=0.0)
    original = model.generator.mapping.track
    model.generator.mapping.track = lambda w: (seen.append(w), original(w))[1]
    fit(model, tmp_path, 3)
    expected = torch.zeros(W)
    assert [len(w) for w in seen] == [games.BATCH] * 3
    for w in seen:
        expected = 0.995 * expected + 0.005 * w.mean(dim=0)
    torch.testing.assert_close(model.generator.mapping.w_mean, expected)
    assert torch.equal(model.average.module.mapping.w_mean, model.generator.mapping.w_mean)


def test_the_parts_of_a_batch_make_one_update(tmp_path):
    sgd = {f"{p}_optimizer": partial(torch.optim.SGD, lr=1e-3) for p in games.players()}
    whole, parted = game(**sgd), game(**sgd, accumulate=2)
    for model in (whole, parted):
        fit(model, tmp_path, 2)
    games.assert_close(games.weights(whole), games.weights(parted), atol=1e-5)


def test_a_run_killed_in_a_fade_resumes_bit_identically(tmp_path):
    growth = Growth(SIZE, 4, stable_images=8, fade_images=24)
    straight, first, second = (game(growth=growth) for _ in range(3))
    fit(straight, tmp_path, 5)
    trainer = fit(first, tmp_path, 3)
    assert first.generator.level.fading
    trainer.save_checkpoint(tmp_path / "killed.ckpt")
    fit(second, tmp_path, 5, resume=tmp_path / "killed.ckpt")
    games.assert_equal(games.weights(straight), games.weights(second))
    assert torch.equal(straight.sample(3), second.sample(3))


def test_images_of_an_update_are_mixed_and_have_noise():
    model = game(style_mixing=1.0)
    synthesized: list[tuple[torch.Tensor, list[torch.Tensor]]] = []
    original = model.generator.synthesize
    model.generator.synthesize = lambda ws, maps: (synthesized.append((ws, maps)), original(ws))[1]
    noise = Noise(7, 8)
    z = noise.normal(LATENT)
    model.images(games.update("generator", {}, noise), z, None)
    ws, maps = synthesized[0]
    draws = Noise(7, 8).fork()
    first = model.generator.mapping(z)
    second = model.generator.mapping(draws.normal(LATENT))
    boundary = crossovers(draws, 6, 1.0)
    for row in range(8):
        for layer in range(6):
            expected = first if layer < boundary[row] else second
            torch.testing.assert_close(ws[row, layer], expected[row])
    assert [tuple(m.shape) for m in maps] == [(8, 1, side, side) for side in (4, 4, 8, 8, 16, 16)]
    assert torch.equal(maps[0], draws.normal(1, 4, 4))


def test_two_styles_meet_among_the_layers_in_use():
    """At 4x4 there are two layers, and one boundary."""
    model = game(growth=Growth(SIZE, 4), style_mixing=1.0)
    ws = model.mixed_styles(model.generator, torch.zeros(8, W), None, Noise(7, 8).fork())
    assert torch.equal(ws[:, 0], torch.zeros(8, W))
    assert (ws[:, 1:].abs().amax(dim=(1, 2)) > 0).all()


def test_neighbouring_latents_differ_by_nothing_else(tmp_path):
    """Within an update noise and partners stay, so equal latents make equal images."""
    model = game()
    update, other = (games.update("generator", {}, Noise(seed, 4)) for seed in (3, 4))
    z = torch.randn(4, LATENT)
    images = model.images(update, z, None)
    assert torch.equal(model.images(update, z, None), images)
    assert torch.allclose(model.images(update, z[:2], None), images[:2], atol=1e-5)
    assert not torch.allclose(model.images(other, z, None), images)


def test_regularizers_of_latents_compose(tmp_path):
    terms = {"pl": PathLength(shrink=2), "zcr": LatentConsistency()}
    model = game(regularizers=terms)
    fit(model, tmp_path)
    assert torch.isfinite(torch.cat([p.flatten() for p in model.parameters()])).all()
    assert model.regularizers["pl"].mean > 0


# ---------------------------------------------------------------------- samples


@pytest.mark.parametrize("noise", ["const", "random", "none"])
def test_an_image_depends_on_seed_and_index_alone(noise):
    model = game(noise=noise)
    images = model.sample(70, seed=5)
    torch.manual_seed(1)
    assert torch.equal(model.sample(6, seed=5, start=62), images[62:68])
    assert not torch.equal(model.sample(6, seed=6), images[:6])


def test_truncation_of_0_gives_the_image_of_the_mean():
    model = game(noise="const")
    network = model.average.module
    nn.init.normal_(network.mapping.w_mean)
    expected = network.synthesize(network.mapping.w_mean.expand(1, 6, W))
    model.truncation = 0.0
    assert torch.equal(model.styles(3), network.mapping.w_mean.expand(3, 6, W))
    torch.testing.assert_close(model.sample(3), expected.expand(3, -1, -1, -1))


def test_truncation_of_1_changes_nothing_and_less_moves_towards_the_mean():
    model = game()
    images, ws = model.sample(4), model.styles(4)
    model.truncation = 1.0
    assert torch.equal(model.sample(4), images)
    model.truncation, model.truncation_cutoff = 0.5, 2
    torch.testing.assert_close(model.styles(4)[:, :2], 0.5 * ws[:, :2])  # the mean is 0
    assert torch.equal(model.styles(4)[:, 2:], ws[:, 2:])
    assert not torch.equal(model.sample(4), images)


def test_noise_of_samples():
    model = game()
    found = {}
    for noise in ("random", "const", "none"):
        model.noise, model.truncation = noise, 0.0
        found[noise] = model.sample(2)
    assert not torch.equal(found["random"][0], found["random"][1])  # one style, other noise
    for noise in ("const", "none"):
        assert torch.equal(found[noise][0], found[noise][1])
    assert not torch.equal(found["const"], found["none"])


@pytest.mark.parametrize("noise", ["const", "random", "none"])
def test_styles_can_be_edited_and_rendered(noise):
    model = game(noise=noise)
    ws = model.styles(6, seed=2)
    assert ws.shape == (6, 6, W)
    for index in (0, 5):
        again = model.render(ws[index : index + 1], seed=2, index=index)
        torch.testing.assert_close(again[0], model.sample(1, seed=2, start=index)[0])
    raw = model.render(ws, seed=2, weights="raw")
    assert raw.shape == (6, 1, SIZE, SIZE)


def test_samples_of_a_young_run_have_the_full_size():
    model = game(growth=Growth(SIZE, 4))
    images = model.sample(2)
    assert images.shape == (2, 1, SIZE, SIZE)
    assert torch.equal(images, F.interpolate(images[:, :, ::4, ::4], scale_factor=4))
    assert model.render(model.styles(2)).shape == images.shape


def test_training_mode_survives_the_taking_of_styles():
    model = game(average=ExponentialMovingAverage()).train()
    model.styles(1, weights="raw")
    model.render(model.styles(1))
    assert model.generator.training
    assert not model.average.module.training


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style_mixing": 1.5}, r"model.style_mixing must be in \[0, 1\], got 1.5"),
        ({"truncation": 2.0}, r"model.truncation must be in \[-1, 1\] or null, got 2.0"),
        ({"truncation_cutoff": -1}, "model.truncation_cutoff must be at least 0 or null, got -1"),
        ({"noise": "pink"}, "noise must be one of const, random, none; got 'pink'"),
    ],
)
def test_refuses_nonsense(changes, message):
    with pytest.raises(ConfigError, match=message):
        game(**changes)


def test_refuses_a_generator_without_styles():
    parts = networks() | {"generator": PGGANGenerator(SIZE, 1, LATENT, width=4, full_width=8)}
    with pytest.raises(ConfigError, match=r"generator has no styles.*network=stylegan"):
        games.game(StyleGAN, **parts, growth=Growth(SIZE))
