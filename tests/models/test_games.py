from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.losses.least_squares import LeastSquaresLoss
from ganforge.losses.wasserstein import WassersteinLoss
from ganforge.models.dcgan import DCGAN
from ganforge.models.gan import GAN
from ganforge.models.lsgan import LSGAN
from ganforge.models.wgan import WGAN
from ganforge.models.wgan_gp import WGANGP
from ganforge.regularizers.gradient_penalty import GradientPenalty
from ganforge.regularizers.weight_clip import WeightClip
from tests.support import games


def squashed() -> dict[str, nn.Module]:
    networks = games.players()
    discriminator = networks["discriminator"]
    return networks | {"discriminator": nn.Sequential(discriminator, nn.Sigmoid())}


def largest(module: nn.Module) -> float:
    return max(float(p.abs().max()) for p in module.parameters())


def test_wgan_weights_are_within_the_bound_after_every_step(tmp_path):
    bounds: list[float] = []
    model = games.game(
        WGAN,
        loss=WassersteinLoss(),
        regularizers={"clip": WeightClip(0.01)},
        critic_steps=5,
        generator_optimizer=partial(torch.optim.RMSprop, lr=5e-3),
        discriminator_optimizer=partial(torch.optim.RMSprop, lr=5e-3),
    )
    assert largest(model.discriminator) > 0.01
    watch = games.AfterStep(lambda module: bounds.append(largest(module.discriminator)))
    games.fit(model, tmp_path, callbacks=[watch])
    assert bounds == pytest.approx([0.01] * 6)
    assert largest(model.generator) > 0.01


def test_the_bound_holds_for_the_generators_turn_too(tmp_path):
    """The critic that G meets is the clipped one."""
    met: list[float] = []

    class Watching(WGAN):
        def generator_loss(self, update):
            met.append(largest(self.discriminator))
            return super().generator_loss(update)

    terms = {"clip": WeightClip(0.01)}
    games.fit(
        games.game(Watching, loss=WassersteinLoss(), regularizers=terms), tmp_path, max_steps=2
    )
    assert met == pytest.approx([0.01] * 2)


def test_wgan_gp_draws_a_steep_critic_towards_a_gradient_of_one(tmp_path):
    networks = games.players()
    with torch.no_grad():
        networks["discriminator"].head.logit.weight.mul_(10)
    points = games.Points()
    terms = {"gp": GradientPenalty()}
    model = games.game(
        WGANGP, **networks, loss=WassersteinLoss(), regularizers=terms, critic_steps=5
    )
    games.fit(model, tmp_path, max_steps=10, logger=points)
    penalties = points.column("discriminator/gp")
    assert penalties[-1] < 0.1 * penalties[0]


def test_wgan_gp_refuses_clipping():
    terms = {"gp": GradientPenalty(), "clip": WeightClip()}
    with pytest.raises(ConfigError, match=r"both bound the critic.*Use"):
        games.game(WGANGP, loss=WassersteinLoss(), regularizers=terms)


def test_a_gradient_penalty_refuses_batch_normalization():
    networks = games.convolutional_players("batch")
    with pytest.raises(ConfigError, match=r"BatchNorm2d .*dcgan_layer_norm"):
        games.game(
            WGANGP, **networks, loss=WassersteinLoss(), regularizers={"gp": GradientPenalty()}
        )


@pytest.mark.parametrize("kind", [WGAN, WGANGP, LSGAN])
def test_a_sigmoid_at_the_output_is_refused(kind):
    with pytest.raises(ConfigError, match=r"ends in a sigmoid.*raw logits"):
        games.game(kind, **squashed(), loss=LeastSquaresLoss())


def test_dcgan_refuses_players_without_convolutions():
    with pytest.raises(ConfigError, match=r"MLPGenerator has no convolution.*network=dcgan"):
        games.game(DCGAN)
    assert isinstance(games.game(DCGAN, **games.convolutional_players("batch")), DCGAN)


@pytest.mark.parametrize("kind", [GAN, LSGAN, WGAN])
def test_any_loss_works_with_any_model(tmp_path, kind):
    for loss in (LeastSquaresLoss(), WassersteinLoss()):
        model = games.game(kind, loss=loss)
        games.fit(model, tmp_path, max_steps=1)
        assert all(value.isfinite().all() for value in games.weights(model).values())
