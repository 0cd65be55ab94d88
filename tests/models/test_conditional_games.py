from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ganforge.errors import ConfigError
from ganforge.losses.hinge import HingeLoss
from ganforge.losses.relativistic import RelativisticLoss
from ganforge.models.acgan import ACGAN
from ganforge.models.cgan import CGAN
from ganforge.models.dragan import DRAGAN
from ganforge.models.infogan import InfoGAN, gaussian_surprise
from ganforge.models.pacgan import PacGAN
from ganforge.models.projection import ProjectionGAN
from ganforge.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganforge.networks.mlp import MLPDiscriminator, MLPGenerator
from ganforge.regularizers.zero_centered import R1
from ganforge.streams import Noise
from tests.support import games

CLASSES = 3


def players(g_condition="concatenation", d_condition="none", auxiliary=()):
    """Small networks for 8x8 gray images of three classes."""
    torch.manual_seed(0)
    shape = {"image_size": 8, "channels": 1, "hidden": [16], "num_classes": CLASSES}
    return {
        "generator": MLPGenerator(latent_dim=games.LATENT, conditioning=g_condition, **shape),
        "discriminator": MLPDiscriminator(conditioning=d_condition, auxiliary=auxiliary, **shape),
        "num_classes": CLASSES,
    }


GAMES = {
    CGAN: {"d_condition": "concatenation"},
    ACGAN: {"auxiliary": [CLASSES]},
    ProjectionGAN: {"d_condition": "projection"},
    InfoGAN: {"auxiliary": [CLASSES, 2]},
}


def game(kind, **changes):
    return games.game(kind, **players(**GAMES[kind]) | changes)


def images():
    return games.images(num_classes=CLASSES)


def classify(model, batch):
    return model.discriminator.logits_and_auxiliary(batch)[1]


class Seen:
    """Records what a network is given."""

    def __init__(self, network):
        self.calls = []
        network.register_forward_hook(lambda module, inputs, output: self.calls.append(inputs))


# ---------------------------------------------------------------------- labels


@pytest.mark.parametrize("kind", [CGAN, ProjectionGAN])
def test_fakes_have_the_classes_of_the_reals(kind, tmp_path):
    model = game(kind)
    makes, discriminators = Seen(model.generator), Seen(model.discriminator)
    games.fit(model, tmp_path, images(), max_steps=1)
    batch = discriminators.calls[0][1]  # the reals' labels
    assert len(set(batch.tolist())) > 1
    assert [torch.equal(labels, batch) for _, labels in makes.calls] == [True] * 2
    assert [torch.equal(labels, batch) for _, labels in discriminators.calls] == [True] * 3


def test_a_code_is_none_of_the_datas_labels(tmp_path):
    model = game(InfoGAN)
    makes = Seen(model.generator)
    games.fit(model, tmp_path, images(), max_steps=40)
    codes = torch.cat([labels for _, labels in makes.calls])
    share = codes.bincount(minlength=CLASSES) / len(codes)
    torch.testing.assert_close(share, torch.full((CLASSES,), 1 / 3), atol=0.08, rtol=0)
    assert not torch.equal(makes.calls[0][1], makes.calls[1][1])


def test_infogan_needs_no_labels_at_all(tmp_path):
    model = game(InfoGAN)
    games.fit(model, tmp_path, games.images(num_classes=0), max_steps=2)
    assert model.iteration == 2


@pytest.mark.parametrize("kind", list(GAMES))
def test_an_image_is_a_function_of_its_class_and_number(kind):
    model = game(kind).eval()
    whole = model.sample(6, seed=1)
    assert torch.equal(whole[2:4], model.sample(2, seed=1, start=2))
    asked = model.sample(6, seed=1, labels=torch.full((6,), 1))
    same = [bool(torch.equal(a, b)) for a, b in zip(whole, asked, strict=True)]
    assert same == [False, True, False, False, True, False]


@pytest.mark.parametrize("kind", list(GAMES))
def test_parts_of_a_batch_make_the_same_update(kind, tmp_path):
    changes = {"generator_optimizer": games.SGD, "discriminator_optimizer": games.SGD}
    one, parts = game(kind, **changes), game(kind, accumulate=2, **changes)
    parts.load_state_dict(one.state_dict())
    for model in (one, parts):
        games.fit(model, tmp_path, images(), max_steps=2)
    games.assert_close(games.weights(one), games.weights(parts), atol=1e-5)


@pytest.mark.parametrize("kind", list(GAMES))
def test_half_precision_trains(kind, tmp_path):
    points = games.Points()
    model = game(kind, regularizers={"r1": R1()})
    games.fit(model, tmp_path, images(), max_steps=2, precision="bf16-mixed", logger=points)
    assert all(math.isfinite(value) for value in points.column("discriminator/loss"))


# ---------------------------------------------------------------------- AC-GAN


def batch_of(model, rows=6):
    generator = torch.Generator().manual_seed(5)
    real = torch.rand(rows, 1, 8, 8, generator=generator) * 2 - 1
    return {"image": real, "label": torch.arange(rows) % CLASSES}


def alone(kind, **changes):
    return games.game(kind, **players(**GAMES[kind]) | changes)


def losses(model):
    """The losses of both players outside of a training, the batch and the observed scalars."""
    batch, observed = batch_of(model), {}
    of_critic, of_generator = (
        loss(games.update(player, batch, Noise(1, 6), observed))
        for player, loss in (
            ("discriminator", model.discriminator_loss),
            ("generator", model.generator_loss),
        )
    )
    return of_critic, of_generator, batch, observed


def fakes(model, labels, noise):
    return model.generator(model.latents(noise), labels)


def test_acgan_adds_the_cross_entropies_of_reals_and_fakes():
    model = alone(ACGAN, discriminator_weight=0.5, generator_weight=0.25)
    of_critic, of_generator, batch, observed = losses(model)
    fake = fakes(model, batch["label"], Noise(1, 6))
    real_logits, fake_logits = model.discriminator(batch["image"]), model.discriminator(fake)
    real, fake = (
        F.cross_entropy(classify(model, x), batch["label"]) for x in (batch["image"], fake)
    )
    source = model.loss.discriminator(real_logits, fake_logits)
    torch.testing.assert_close(of_critic, source + 0.5 * (real + fake))
    torch.testing.assert_close(of_generator, model.loss.generator(fake_logits) + 0.25 * fake)
    assert observed["discriminator/classification"] == pytest.approx(float(real), rel=1e-5)
    assert observed["generator/classification"] == pytest.approx(float(fake), rel=1e-5)
    right = (classify(model, batch["image"]).argmax(1) == batch["label"]).float().mean()
    assert observed["discriminator/class_accuracy"] == pytest.approx(float(right))


def test_a_classifier_without_opinion_costs_the_logarithm_of_the_classes():
    model = alone(ACGAN)
    torch.nn.init.zeros_(model.discriminator.head.auxiliary.weight)
    of_critic, *_ = losses(model)
    weightless = alone(ACGAN, discriminator_weight=0.0)
    weightless.load_state_dict(model.state_dict())
    plain, *_ = losses(weightless)
    assert float(of_critic - plain) == pytest.approx(2 * math.log(CLASSES), rel=1e-5)


def test_one_pass_returns_logits_and_classes(tmp_path):
    passes = []
    model = game(ACGAN)
    model.discriminator.hidden.register_forward_hook(lambda *_: passes.append(1))
    games.fit(model, tmp_path, images(), max_steps=1)
    assert len(passes) == 3


@pytest.mark.parametrize("kind", [ACGAN, InfoGAN])
def test_auxiliary_losses_are_those_of_the_first_images(kind):
    """Penalties call D more often, and paired losses call it on reals in the update of G."""
    plain, other = alone(kind), alone(kind, loss=RelativisticLoss(), regularizers={"r1": R1()})
    other.load_state_dict(plain.state_dict())
    *_, expected = losses(plain)
    *_, observed = losses(other)
    assert observed.keys() - expected.keys() == {"discriminator/r1"}
    # A relativistic loss has no boundary, so its accuracies are others.
    for name in expected.keys() - {"discriminator/real_accuracy", "discriminator/fake_accuracy"}:
        assert observed[name] == pytest.approx(expected[name], rel=1e-5), name


# ---------------------------------------------------------------------- InfoGAN


def test_the_bound_is_that_of_the_categorical_and_gaussian_posteriors():
    model = alone(InfoGAN, categorical_weight=2.0, continuous_weight=0.5)
    of_critic, of_generator, batch, observed = losses(model)
    draws = Noise(1, 6)
    codes = model.labels(batch, draws)
    z = model.latents(draws)
    fake = model.generator(z, codes)
    outputs = classify(model, fake)
    surprise = F.cross_entropy(outputs[:, :CLASSES], codes)
    gaussian = torch.distributions.Normal(outputs[:, CLASSES:], 1.0)
    unlikely = -gaussian.log_prob(z[:, -2:]).sum(1).mean() - math.log(2 * math.pi)
    bound = 2 * surprise + 0.5 * unlikely
    real_logits, fake_logits = model.discriminator(batch["image"]), model.discriminator(fake)
    expected = model.loss.discriminator(real_logits, fake_logits) + bound
    torch.testing.assert_close(of_critic, expected)
    torch.testing.assert_close(of_generator, model.loss.generator(fake_logits) + bound)
    information = math.log(CLASSES) - float(surprise)
    assert observed["generator/information"] == pytest.approx(information, abs=1e-5)


def test_a_posterior_that_knows_all_bounds_the_information_by_the_entropy():
    model = alone(InfoGAN)
    known = F.one_hot(torch.tensor([0, 1, 2]), CLASSES) * 100.0
    surprise = F.cross_entropy(known, torch.tensor([0, 1, 2]))
    assert math.log(model.num_classes) - float(surprise) == pytest.approx(math.log(3))


def test_the_surprise_of_continuous_codes():
    codes, guesses = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    assert float(gaussian_surprise(codes, guesses)) == (1 / 2 + 4 / 2) / 2
    assert float(gaussian_surprise(codes[:, :0], guesses[:, :0])) == 0


def test_continuous_codes_are_uniform_and_the_last_of_the_latent():
    model = alone(InfoGAN)
    z = model.latents(Noise(0, 20_000))
    noise, codes = z[:, :-2], z[:, -2:]
    assert codes.min() >= -1
    assert codes.max() < 1
    torch.testing.assert_close(codes.var(0), torch.full((2,), 1 / 3), atol=0.01, rtol=0)
    torch.testing.assert_close(noise.var(0), torch.ones(games.LATENT - 2), atol=0.05, rtol=0)


def test_the_posteriors_head_is_trained_in_the_discriminators_turn(tmp_path):
    class Half(InfoGAN):
        def play(self, reals):
            self.update("generator", self.generator_loss, reals[-1])

    still = games.game(Half, **players(auxiliary=[CLASSES, 2]))
    kept = games.weights(still.discriminator)
    games.fit(still, tmp_path, max_steps=2)
    games.assert_equal(kept, games.weights(still.discriminator))
    both = game(InfoGAN)
    kept = games.weights(both.discriminator.head.auxiliary)
    games.fit(both, tmp_path, max_steps=2)
    assert not torch.equal(kept["weight"], both.discriminator.head.auxiliary.weight)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (CGAN, players("none", "concatenation"), "generator is not conditioned .*concatenation"),
        (CGAN, players(d_condition="none"), "the discriminator is not conditioned on the label"),
        (
            ProjectionGAN,
            players(d_condition="concatenation"),
            "conditioning is concatenation.*projection",
        ),
        (ProjectionGAN, players("none", "projection"), "the generator is not conditioned"),
        (ACGAN, players(), r"auxiliary outputs \[\], but the model needs \[3\].*classifier"),
        (ACGAN, players("none", auxiliary=[3]), "the generator is not conditioned"),
        (ACGAN, {"discriminator_weight": -1.0}, "model.discriminator_weight must be at least 0"),
        (ACGAN, {"generator_weight": -1.0}, "model.generator_weight must be at least 0"),
        (InfoGAN, players(auxiliary=[3]), r"outputs \[3\], but the model needs \[3, 2\]"),
        (InfoGAN, players("none", auxiliary=[3, 2]), "the generator is not conditioned"),
        (InfoGAN, {"continuous": 4}, "below the generator.s latent_dim=4, got 4"),
        (InfoGAN, {"categorical_weight": -1.0}, "model.categorical_weight must be at least 0"),
        (CGAN, {"num_classes": 4}, "the generator is built for 3 classes, but the model has 4"),
        (CGAN, {"packing": 2}, "a pack has one logit but several labels"),
    ],
)
def test_parts_of_another_model_are_refused(kind, changes, message):
    with pytest.raises(ConfigError, match=message):
        game(kind, **changes)


def test_infogan_refuses_a_code_of_one_value():
    lone = {"generator": MLPGenerator(8, 1, 4, [4]), "discriminator": MLPDiscriminator(8, 1, [4])}
    with pytest.raises(ConfigError, match=r"the categorical code has 0 values.*condition=code"):
        games.game(InfoGAN, **lone)


def test_dragan_refuses_batch_normalization():
    with pytest.raises(ConfigError, match=r"BatchNorm.*dcgan_layer_norm"):
        games.game(DRAGAN, **games.convolutional_players("batch"))
    assert games.game(DRAGAN, **games.convolutional_players("layer"))


def test_pacgan_packs_images_and_refuses_single_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"model.packing=1 it does not pack images"):
        games.game(PacGAN)
    discriminator = MLPDiscriminator(8, 1, [16], packing=2)
    model = games.game(PacGAN, discriminator=discriminator, packing=2)
    augmented = Seen(discriminator)
    games.fit(model, tmp_path, max_steps=1)
    assert [tuple(call[0].shape) for call in augmented.calls] == [(games.BATCH // 2, 2, 8, 8)] * 3


def test_the_paper_of_projection_takes_class_conditional_norms(tmp_path):
    torch.manual_seed(0)
    model = games.game(
        ProjectionGAN,
        generator=DCGANGenerator(
            16, 1, 4, width=4, num_classes=CLASSES, conditioning="normalization"
        ),
        discriminator=DCGANDiscriminator(
            16,
            1,
            width=4,
            norm="none",
            spectral_norm=True,
            num_classes=CLASSES,
            conditioning="projection",
        ),
        num_classes=CLASSES,
        loss=HingeLoss(),
    )
    games.fit(model, tmp_path, games.images(16, num_classes=CLASSES), max_steps=2)
    one, other = (model.sample(2, labels=torch.full((2,), label)) for label in (0, 1))
    assert not torch.equal(one, other)
