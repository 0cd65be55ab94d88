from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ganforge.augment.diffaugment import DiffAugment
from ganforge.errors import ConfigError
from ganforge.losses.nonsaturating import NonsaturatingLoss
from ganforge.losses.relativistic import RelativisticLoss
from ganforge.models.engine.averaging import ExponentialMovingAverage
from ganforge.networks.patch_discriminator import PatchDiscriminator
from ganforge.networks.translator import TranslatorPair
from ganforge.networks.unet import UNetTranslator
from ganforge.regularizers.feature_matching import FeatureMatching
from ganforge.regularizers.latent_diversity import LatentDiversity
from ganforge.regularizers.lecam import LeCam
from ganforge.regularizers.top_k import TopK
from ganforge.regularizers.zero_centered import R1
from ganforge.streams import Noise
from tests.support import games
from tests.support.translations import BATCH, GREY, RGB, SIZE, TinyPairs, pix2pix


class Constant(nn.Module):
    """Answers every input with one value; all patches with one logit."""

    in_channels, out_channels, multiple, stochastic = GREY, RGB, 1, False

    def __init__(self, value: float, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))
        self.shape = shape

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(images), *self.shape)


class Mean(nn.Module):
    """The logit of each of four patches is the mean over its pixels and channels."""

    in_channels = GREY + RGB

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(images, SIZE // 2).mean(1, keepdim=True)


def batch(rows: int = BATCH) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand((rows, GREY, SIZE, SIZE), generator=generator) * 2 - 1
    return {"input": x, "image": torch.rand((rows, RGB, SIZE, SIZE), generator=generator) * 2 - 1}


def in_training(model, tmp_path, **settings):
    """Trains, so that the model has a trainer to log to."""
    games.fit(model, tmp_path, data=TinyPairs(), max_steps=1, **settings)
    return model


# ---------------------------------------------------------------------- the objective


def test_at_undecided_logits_the_losses_are_those_of_the_paper(tmp_path):
    model = in_training(pix2pix(), tmp_path)
    model.generator = Constant(0.25, (RGB, SIZE, SIZE))
    model.discriminator = Constant(0.0, (1, 2, 2))
    one = batch()
    distance = (one["image"] - 0.25).abs().mean()
    loss = model.generator_loss(games.update("generator", one, Noise(0, BATCH)))
    # -log D at logit 0, and lambda = 100 times the L1 distance
    torch.testing.assert_close(loss, math.log(2) + 100 * distance)
    fakes = one | {"fake": torch.zeros_like(one["image"])}
    # half of -log D(x, y) - log(1 - D(x, G(x)))
    loss = model.discriminator_loss(games.update("discriminator", fakes, Noise(0, BATCH)))
    torch.testing.assert_close(loss, torch.tensor(math.log(2)))


def test_the_gradient_of_the_l1_term_is_lambda_times_the_mean_sign(tmp_path):
    model = in_training(pix2pix(l1_weight=30.0), tmp_path)
    model.generator = Constant(0.25, (RGB, SIZE, SIZE))
    model.discriminator = Constant(0.0, (1, 2, 2))
    one = batch()
    model.generator_loss(games.update("generator", one, Noise(0, BATCH))).backward()
    expected = 30 * (0.25 - one["image"]).sign().mean()
    torch.testing.assert_close(model.generator.value.grad, expected)


def test_the_discriminator_gets_input_and_output_concatenated(tmp_path):
    model, seen = pix2pix(), []
    model.discriminator.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    outputs = []
    model.generator.register_forward_hook(lambda _, inputs, out: outputs.append((inputs[0], out)))
    in_training(model, tmp_path)
    ((x, fake),) = outputs  # every image is generated once
    generator_turn, real, fakes = seen
    assert torch.equal(generator_turn, torch.cat([x, fake], 1))
    assert torch.equal(fakes, generator_turn)
    assert torch.equal(real[:, :GREY], x)
    # TinyPairs' targets are their inputs at half the brightness, by the same crop and flip.
    pixels = ((x + 1) * 127.5).round() // 2
    torch.testing.assert_close((real[:, GREY:] + 1) * 127.5, pixels.repeat(1, RGB, 1, 1))


def test_further_critic_steps_come_before_on_images_of_their_own(tmp_path):
    model, outputs = pix2pix(critic_steps=3), []
    model.generator.register_forward_hook(lambda _, inputs, out: outputs.append(out.requires_grad))
    augmented = []
    model.discriminator.register_forward_hook(lambda *_: augmented.append(1))
    in_training(model, tmp_path)
    assert outputs == [False, False, True]
    assert len(augmented) == 2 * 3 + 1
    assert model.images_seen == 3 * BATCH


def test_the_discriminator_gets_all_fakes_in_full_precision(tmp_path):
    model, kinds = pix2pix(critic_steps=2), []
    shown = model.critic_fakes
    model.critic_fakes = lambda fakes: shown(kinds.append(fakes["fake"].dtype) or fakes)
    in_training(model, tmp_path, precision="bf16-mixed")
    assert kinds == [torch.float32] * 2


def test_parts_of_a_batch_make_the_same_update(tmp_path):
    whole, parts = pix2pix(), pix2pix(accumulate=3)
    for name, model in (("whole", whole), ("parts", parts)):
        games.fit(model, tmp_path / name, data=TinyPairs(), max_steps=3)
    games.assert_close(games.weights(parts), games.weights(whole), atol=2e-5)


# ---------------------------------------------------------------------- what it composes with


def test_both_halves_are_augmented_by_the_same_draws(tmp_path):
    augment = DiffAugment(colour=False, translation=0.3, cutout=0.4)
    model = in_training(pix2pix(augment=augment), tmp_path)
    x = batch()["input"]
    twice = torch.cat([x, x.repeat(1, RGB, 1, 1)], 1)
    update, critic = games.update("generator", batch(), Noise(1, BATCH)), model.critics()["target"]
    first, second = (critic.augmented(twice, update) for _ in range(2))
    assert torch.equal(first[:, :1].expand(-1, RGB, -1, -1), first[:, 1:])
    assert not torch.equal(first, twice)
    assert not torch.equal(first, second)  # reals and fakes are not changed alike


def test_r1_is_of_the_mean_over_patches(tmp_path):
    model = in_training(pix2pix(regularizers={"r1": R1(4.0)}), tmp_path)
    model.discriminator = Mean()
    one = batch()
    fakes = one | {"fake": one["image"]}
    plain = pix2pix()
    plain.discriminator, plain._trainer = Mean(), model._trainer
    ours, theirs = (
        one.discriminator_loss(games.update("discriminator", fakes, Noise(0, BATCH)))
        for one in (model, plain)
    )
    # The mean's gradient is 1/N at each of N places, whose square sums to 1/N; gamma/2 of that.
    torch.testing.assert_close(ours - theirs, torch.tensor(4.0 / 2 / ((GREY + RGB) * SIZE**2)))


def test_top_k_chooses_images_by_the_mean_of_their_patches(tmp_path):
    top = TopK(final_share=0.5, gamma=0.5, every_images=1)
    model = in_training(pix2pix(regularizers={"top_k": top}), tmp_path)
    model.discriminator = Mean()
    inputs = []
    model.loss.generator = lambda fake, real=None: inputs.append(fake) or fake.sum()
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, GREY + RGB, SIZE, SIZE)
    update = games.update("generator", batch(), Noise(0, 4), images_seen=10)
    model.adversarial_generator_loss(update, "target", images, images)
    assert sorted(inputs[0].tolist()) == [2.0] * 4 + [3.0] * 4


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": RelativisticLoss(), "regularizers": {"r1": R1(1.0)}},
        {"loss": NonsaturatingLoss(label_noise=0.2), "regularizers": {"lecam": LeCam()}},
        {"regularizers": {"fm": FeatureMatching()}, "clip_norm": 0.1},
        {"average": ExponentialMovingAverage(10.0)},
    ],
    ids=["relativistic", "label noise", "feature matching", "average"],
)
def test_parts_of_the_project_compose(tmp_path, changes):
    model = pix2pix(**changes)
    before = games.weights(model.generator)
    games.fit(model, tmp_path, data=TinyPairs(), max_steps=2)
    after = games.weights(model.generator)
    assert all(value.isfinite().all() for value in after.values())
    assert any(not torch.equal(after[name], before[name]) for name in after)


def test_terms_about_latents_are_refused():
    with pytest.raises(ConfigError, match="regularizer=zcr needs latents"):
        pix2pix(regularizers={"zcr": LatentDiversity()})


def test_two_networks_or_one_from_latents_are_refused():
    both = TranslatorPair(UNetTranslator(SIZE, GREY, RGB, 4), UNetTranslator(SIZE, RGB, GREY, 4))
    for generator in (both, games.players()["generator"]):
        with pytest.raises(ConfigError, match="needs one network from inputs to outputs"):
            pix2pix(generator=generator)


def test_a_discriminator_of_other_channels_is_refused():
    with pytest.raises(ConfigError, match="4 channels in total, but it is built for 3"):
        pix2pix(discriminator=PatchDiscriminator(RGB, width=4, layers=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "BtoC"}, "model.direction must be AtoB or BtoA, got 'BtoC'"),
        ({"l1_weight": -1.0}, "model.l1_weight must be at least 0, got -1.0"),
        ({"adversarial_weight": 0.0}, "model.adversarial_weight must be above 0, got 0.0"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        pix2pix(**changes)


# ---------------------------------------------------------------------- translating, resuming


def test_a_translation_depends_only_on_its_image_and_index():
    model = pix2pix(norm="batch", dropout=0.5)
    x = batch()["input"]
    whole = model.translate(x, seed=4)
    assert whole.shape == (BATCH, RGB, SIZE, SIZE)
    assert torch.equal(whole[2:], model.translate(x[2:], seed=4, start=2))
    assert not torch.equal(whole, model.translate(x, seed=5))  # dropout is the noise
    assert not torch.equal(whole[:1], model.translate(x[:1], seed=4, start=1))


def test_translating_leaves_the_random_stream_and_the_mode_alone():
    model = pix2pix(dropout=0.5).train()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    model.translate(batch()["input"])
    assert torch.equal(torch.rand(3), expected)
    assert model.generator.training


def test_it_translates_in_one_direction():
    model = pix2pix(direction="BtoA")
    assert model.directions == ("BtoA",)
    assert model.translator("BtoA") is model.translator() is model.generator
    with pytest.raises(ConfigError, match="direction must be one of BtoA for this run, got 'AtoB'"):
        model.translator("AtoB")


def test_it_has_no_latents_to_sample():
    with pytest.raises(ConfigError, match="ganforge translate"):
        pix2pix().sample(4)


def test_a_resumed_model_is_bit_identical(tmp_path):
    whole, begun, resumed = (pix2pix(norm="batch", dropout=0.5) for _ in range(3))
    games.fit(whole, tmp_path / "whole", data=TinyPairs(), max_steps=6)
    trainer = games.fit(begun, tmp_path / "begun", data=TinyPairs(), max_steps=3)
    trainer.save_checkpoint(tmp_path / "begun.ckpt")
    resume = tmp_path / "begun.ckpt"
    games.fit(resumed, tmp_path / "resumed", data=TinyPairs(), max_steps=6, resume=resume)
    games.assert_equal(games.weights(resumed), games.weights(whole))
