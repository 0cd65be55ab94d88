from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.compute.hardware import Hardware
from ganforge.errors import ConfigError
from ganforge.models.engine.progressive import Growth, reals_at
from ganforge.runs.build import _check_batches
from ganforge.streams import Noise
from tests.support import games
from tests.support.growing import GROWTH, game, players

BATCH = games.BATCH


def fit(model, root, **settings):
    return games.fit(model, root, data=games.images(16), **settings)


def level_of(network):
    level = network.level
    return level.stage - (1 - level.alpha.item()) * level.fading


# ---------------------------------------------------------------------- the step


def test_both_players_grow_with_the_images_seen(tmp_path):
    augmented, levels = [], []
    model = game()
    model.discriminator.register_forward_pre_hook(lambda _, inputs: augmented.append(inputs[0]))

    def after(module):
        sizes = {images.shape[-1] for images in augmented}
        levels.append([level_of(n) for n in (module.generator, module.discriminator)])
        levels[-1] += [level_of(module.average.module), *sizes]
        augmented.clear()

    fit(model, tmp_path, max_steps=10, callbacks=[games.AfterStep(after)])
    expected = [0, 0, 0, 0.5, 1, 1, 1, 1.5, 2, 2]
    assert levels == [[level] * 3 + [4 << math.ceil(level)] for level in expected]


def test_reals_are_downsampled_to_the_level():
    """At 0.25 of 8x8; D gets what reals_at makes of them, and fakes of that size."""
    growth = Growth(16, stable_images=10, fade_images=40)
    model = game(growth, regularizers={})
    model.images_seen = 20
    shown = []
    model.step = lambda player, objective, batch: shown.append(batch["image"])
    model.observe = model.adjust = lambda *_: None
    real = torch.randn(BATCH, 1, 16, 16)
    model.play([{"image": real}])
    assert torch.equal(shown[0], reals_at(real, 0.25))
    assert torch.equal(shown[0], shown[1])


def test_weights_above_the_level_rest(tmp_path):
    """No gradient, no momentum of Adam's, and the average holds what they started with."""
    model = game()
    start = games.weights(model)
    trainer = fit(model, tmp_path, max_steps=3)
    end = games.weights(model)
    for name, value in end.items():
        moved = not torch.equal(value, start[name])
        above = "blocks" in name or any(f"image.{k}" in name for k in (1, 2))
        assert moved != above, name
    resting = sum(
        "blocks.0" in n or "blocks.1" in n or "image.1" in n or "image.2" in n
        for n, _ in model.generator.named_parameters()
    )
    optimizer = trainer.optimizers[0]
    assert len(optimizer.state) == len(optimizer.param_groups[0]["params"]) - resting


def test_the_optimizer_keeps_its_state_when_a_stage_comes(tmp_path):
    trainer = fit(game(), tmp_path, max_steps=5)
    steps = {int(state["step"]) for state in trainer.optimizers[0].state.values()}
    # Of the 4x4 block, of what turns its features into images up to the end of the fade, and of
    # the stage that came with step 3.
    assert steps == {5, 4, 2}


def test_learning_rate_follows_the_size(tmp_path):
    growth = Growth(16, stable_images=BATCH, fade_images=BATCH, learning_rate_factors=[1, 1, 1.5])
    points = games.Points()
    halved = {"generator_schedule": lambda step: 0.5}
    trainer = fit(game(growth, **halved), tmp_path, max_steps=6, logger=points)
    found = points.column("discriminator/learning_rate")
    assert found == pytest.approx([1e-3, 1e-3, 1e-3, 1e-3, 1.5e-3, 1.5e-3])
    assert points.column("generator/learning_rate") == pytest.approx([r / 2 for r in found])
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.75e-3)
    assert points.column("growth/level") == [0, 0, 1, 1, 2, 2]


def test_batches_follow_the_size(tmp_path):
    """Each step is of the size of its start: 24 images are past 20, the end of 4x4."""
    growth = Growth(16, stable_images=20, fade_images=20, batch_sizes=[8, 4, 2])
    points, sizes = games.Points(), []
    model = game(growth)
    loss = model.discriminator_loss
    model.discriminator_loss = lambda one: sizes.append(len(one.batch["image"])) or loss(one)
    fit(model, tmp_path, max_steps=15, logger=points)
    assert sizes == [8] * 3 + [4] * 10 + [2] * 2
    assert points.column("images_seen") == torch.tensor(sizes).cumsum(0).tolist()


# ---------------------------------------------------------------------- samples


@pytest.mark.parametrize("images_seen", [0, 3 * BATCH, 4 * BATCH, 10 * BATCH])
@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_samples_are_of_full_size_with_pixels_repeated(images_seen, weights):
    model = game()
    model.images_seen = images_seen
    images = model.sample(3, seed=1, weights=weights)
    assert images.shape == (3, 1, 16, 16)
    factor = 16 >> math.ceil(GROWTH.level_at(images_seen)) >> 2
    least = F.avg_pool2d(images, factor) if factor > 1 else images
    torch.testing.assert_close(F.interpolate(least, size=16), images)
    assert images.abs().max() <= 1


def test_images_in_training_are_of_the_present_size():
    model = game()
    noise = Noise(0, 2)
    assert model.images(model.generator, model.latents(noise), None).shape[-1] == 4


# ---------------------------------------------------------------------- resuming


CHANGING = Growth(
    16,
    stable_images=12,
    fade_images=30,
    batch_sizes=[8, 4, 2],
    learning_rate_factors=[1, 1, 1.5],
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A model that is trained for 20 steps."""
    model = game(CHANGING)
    games.fit(model, tmp_path_factory.mktemp("whole"), data=games.images(16), max_steps=20)
    return model


@pytest.mark.parametrize(("stop", "workers"), [(4, 0), (6, 0), (14, 0), (4, 2)])
def test_a_model_stopped_in_the_middle_of_a_fade_resumes_bit_identically(
    whole, tmp_path, stop, workers
):
    data = partial(games.images, 16, workers=workers)
    begun, resumed = game(CHANGING), game(CHANGING)
    games.fit(begun, tmp_path / "begun", data=data(), max_steps=stop, callbacks=[Checkpoints(stop)])
    assert 0 < CHANGING.level_at(begun.images_seen) % 1 < 1
    (last,) = (tmp_path / "begun").rglob("last.ckpt")
    games.fit(resumed, tmp_path / "resumed", data=data(), max_steps=20, resume=last)
    assert resumed.images_seen == whole.images_seen
    games.assert_equal(games.weights(resumed), games.weights(whole))


def test_a_loaded_model_generates_the_images_of_the_saved_one(tmp_path):
    model, loaded = game(), game()
    trainer = fit(model, tmp_path, max_steps=3)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    checkpoint = torch.load(tmp_path / "model.ckpt", weights_only=False)
    loaded.load_state_dict(checkpoint["state_dict"])
    loaded.on_load_checkpoint(checkpoint)
    assert level_of(loaded.generator) == level_of(loaded.average.module) == 0.5
    assert torch.equal(loaded.sample(4), model.sample(4))


def test_a_step_after_a_sample_is_as_without(tmp_path):
    """A grid drawn between two steps does not disturb the run."""
    plain, watched = game(CHANGING), game(CHANGING)
    fit(plain, tmp_path, max_steps=8)
    fit(watched, tmp_path, max_steps=8, callbacks=[games.AfterStep(lambda m: m.sample(2))])
    games.assert_equal(games.weights(plain), games.weights(watched))


# ---------------------------------------------------------------------- with other parts, refusals


def test_parts_make_the_update_of_the_whole(tmp_path):
    """A fade among its steps; groups of the minibatch's spread are of 4."""
    ours, whole = game(accumulate=2), game()
    for model in (ours, whole):
        fit(model, tmp_path, max_steps=5)
    games.assert_close(games.weights(ours), games.weights(whole), atol=1e-4)


def test_conditional_players_grow_too(tmp_path):
    conditional = players(num_classes=3, conditioning="concatenation")
    model = game(**conditional, num_classes=3)
    games.fit(model, tmp_path, data=games.images(16, num_classes=3), max_steps=4)
    assert model.sample(3, labels=torch.tensor([0, 1, 2])).shape == (3, 1, 16, 16)


def test_refuses_players_that_do_not_grow():
    with pytest.raises(ConfigError, match=r"the generator does not grow.*network=pggan"):
        game(**games.convolutional_players())


def test_refuses_a_growth_to_another_size():
    with pytest.raises(ConfigError, match="image_size is 32, but the generator is built for 16"):
        game(Growth(32))


def on(devices: int) -> Hardware:
    return Hardware("cpu", devices, "32-true", False, True, "as requested")


def test_batches_that_a_run_will_come_to_are_checked_at_its_start():
    """Two processes cannot share the 5 of 8x8, nor groups of 4 the 6 of 16x16."""
    data, packed = games.images(16), players(packing=2, minibatch_stddev=0)
    for sizes, changes, devices, message in [
        ([8, 5], {}, 2, r"batch_size=5 counts.* multiple of 2: use trainer\.devices=1"),
        ([8, 8, 6], {}, 1, "minibatch_stddev=4 does not divide a batch of 6"),
        ([8, 3], {"packing": 2, **packed}, 1, r"model\.packing=2 does not divide 3"),
    ]:
        model = game(Growth(16, batch_sizes=sizes), **changes)
        with pytest.raises(ConfigError, match=message):
            _check_batches(model, data, on(devices))
    _check_batches(game(Growth(16, batch_sizes=[8, 4])), data, on(2))
