from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from ganforge.callbacks.checkpoints import Checkpoints
from ganforge.errors import ConfigError
from ganforge.losses.relativistic import RelativisticLoss
from ganforge.models.engine.averaging import CosineAverage
from ganforge.models.r3gan import R3GAN
from ganforge.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from ganforge.regularizers.zero_centered import R1, R2
from ganforge.schedules import CosineDecayByImages
from tests.support import games

BATCH = games.BATCH
QUARTER = (1 - math.sqrt(0.5)) / 2  # of half a cosine, at a quarter of the way


def game(**changes):
    return games.game(R3GAN, loss=RelativisticLoss(), **changes)


def betas(trainer):
    return [group["betas"] for optimizer in trainer.optimizers for group in optimizer.param_groups]


def test_beta2_follows_half_a_cosine_over_images():
    model = game(final_beta2=0.99, beta2_images=800)
    found = [model.beta2_at(0.9, images) for images in (0, 200, 400, 800, 10**9)]
    assert found == pytest.approx([0.9, 0.9 + 0.09 * QUARTER, 0.945, 0.99, 0.99])
    assert game(final_beta2=None).beta2_at(0.9, 10**9) == 0.9


def test_the_optimizers_take_beta2_and_keep_beta1(tmp_path):
    """The last of three steps begins with 2 batches seen, halfway to 4."""
    trainer = games.fit(game(final_beta2=0.7, beta2_images=4 * BATCH), tmp_path, max_steps=3)
    assert betas(trainer) == [(0.5, pytest.approx(0.8))] * 2


def test_beta2_is_logged(tmp_path):
    points = games.Points()
    model = game(final_beta2=0.7, beta2_images=2 * BATCH)
    games.fit(model, tmp_path, max_steps=4, logger=points)
    for player in ("generator", "discriminator"):
        assert points.column(f"{player}/beta2") == pytest.approx([0.9, 0.8, 0.7, 0.7])


def test_an_optimizer_without_betas_is_left_alone(tmp_path):
    model = game(generator_optimizer=games.SGD, discriminator_optimizer=games.SGD)
    games.fit(model, tmp_path, max_steps=1)
    assert model.iteration == 1


def scheduled():
    penalties = {"final_weight": 0.1, "decay_images": 8 * BATCH}
    return game(
        regularizers={"r1": R1(2.0, **penalties), "r2": R2(2.0, **penalties)},
        average=CosineAverage(half_life=50.0, images=8 * BATCH),
        generator_schedule=CosineDecayByImages(8 * BATCH, BATCH, final=0.25),
        discriminator_schedule=CosineDecayByImages(8 * BATCH, BATCH, final=0.25),
        beta2_images=8 * BATCH,
    )


def test_all_schedules_resume_bit_by_bit(tmp_path):
    whole = scheduled()
    games.fit(whole, tmp_path / "whole", max_steps=7)
    games.fit(scheduled(), tmp_path / "parts", max_steps=4, callbacks=[Checkpoints(2)])
    (last,) = (tmp_path / "parts").rglob("last.ckpt")
    resumed = scheduled()
    games.fit(resumed, tmp_path / "parts", max_steps=7, resume=last)
    assert resumed.images_seen == 7 * BATCH
    games.assert_equal(games.weights(whole), games.weights(resumed))


def test_penalties_weigh_what_the_schedule_says(tmp_path):
    """Of two games that never move, the losses differ by the penalty's weights alone."""
    still = partial(torch.optim.SGD, lr=0.0)
    columns = []
    for final in (1.0, None):
        penalty, points = R1(4.0, final_weight=final, decay_images=4 * BATCH), games.Points()
        model = game(
            regularizers={"r1": penalty}, generator_optimizer=still, discriminator_optimizer=still
        )
        games.fit(model, tmp_path, max_steps=4, logger=points)
        names = ("discriminator/loss", "discriminator/r1")
        columns.append([torch.tensor(points.column(name)) for name in names])
    (loss, penalties), (constant, same) = columns
    torch.testing.assert_close(penalties, same)
    missing = 3 * torch.tensor([0, QUARTER, 0.5, 1 - QUARTER])
    torch.testing.assert_close(constant - loss, missing * penalties)


def test_the_half_life_grows_along_half_a_cosine():
    average = CosineAverage(half_life=5_000_000, images=20_000_000)
    found = [average.half_life_at(images) for images in (0, 5 * 10**6, 10**7, 2 * 10**7, 10**9)]
    assert found == pytest.approx([0, 5e6 * QUARTER, 2.5e6, 5e6, 5e6])
    assert average.decay(512, 0) == 0
    assert average.decay(512, 10**9) == pytest.approx(0.5 ** (512 / 5e6))
    assert CosineAverage(100.0, ramp=0.1, images=10).half_life_at(20) == pytest.approx(2)


def test_the_learning_rate_falls_over_images():
    """Of 800 images, 40 a step: halfway at the tenth step."""
    schedule = CosineDecayByImages(800, batch_size=20, critic_steps=2, final=0.25)
    found = [schedule(step) for step in (0, 5, 10, 20, 1000)]
    assert found == pytest.approx([1, 1 - 0.75 * QUARTER, 0.625, 0.25, 0.25])


@pytest.mark.parametrize("labelled", [False, True])
def test_real_steps(tmp_path, labelled):
    """Relativistic pairs with R1 and R2 between the small networks of the paper's kind."""
    torch.manual_seed(0)
    classes = 3 if labelled else 0
    labels = {"num_classes": classes, "conditioning": "concatenation"} if labelled else {}
    projected = {"num_classes": classes, "conditioning": "projection"} if labelled else {}
    points = games.Points()
    model = game(
        generator=R3GANGenerator(16, 1, 4, width=4, **labels),
        discriminator=R3GANDiscriminator(16, 1, width=4, **projected),
        regularizers={"r1": R1(0.1), "r2": R2(0.1)},
        num_classes=classes,
    )
    before = games.weights(model)
    data = games.images(16, num_classes=classes)
    games.fit(model, tmp_path, data, max_steps=3, logger=points)
    assert min(points.column("discriminator/r1") + points.column("discriminator/r2")) > 0
    for player in ("generator", "discriminator"):
        names = [name for name in before if name.startswith(f"{player}.")]
        moved = [
            name for name in names if not torch.equal(before[name], games.weights(model)[name])
        ]
        assert len(moved) > len(names) / 2
    images = model.sample(4)
    assert images.shape == (4, 1, 16, 16)
    assert images.abs().max() <= 1


def test_refuses_a_discriminator_that_mixes_images():
    with pytest.raises(ConfigError, match=r"model=r3gan: .*BatchNorm2d[\s\S]*Use network"):
        game(**games.convolutional_players("batch"))


@pytest.mark.parametrize(
    "wrong", [{"final_beta2": 1.0}, {"final_beta2": -0.1}, {"beta2_images": 0}]
)
def test_refuses_schedules(wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"model.{name} must be"):
        game(**wrong)


def test_refuses_schedules_of_parts():
    with pytest.raises(ConfigError, match=r"average\.images must be at least 1"):
        CosineAverage(images=0)
    for wrong in ({"images": 0}, {"batch_size": 0}, {"critic_steps": 0}, {"final": 2.0}):
        with pytest.raises(ConfigError, match=f"CosineDecayByImages: {next(iter(wrong))} must be"):
            CosineDecayByImages(**{"images": 10, "batch_size": 1} | wrong)
