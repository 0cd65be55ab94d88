from __future__ import annotations

import pytest
import torch

from ganforge.config.check import check
from ganforge.config.compose import compose_config
from ganforge.errors import ConfigError
from ganforge.losses.hinge import HingeLoss
from ganforge.models.sagan import SAGAN
from ganforge.networks.resnet import ResNetDiscriminator, ResNetGenerator
from tests.support import games
from tests.support.configs import take_steps, tiny


def players(generator=(), discriminator=()):
    torch.manual_seed(0)
    both = {"width": 4, "spectral_norm": True, "attention": "auto"}
    return {
        "generator": ResNetGenerator(16, 1, latent_dim=4, **(both | dict(generator))),
        "discriminator": ResNetDiscriminator(16, 1, **(both | dict(discriminator))),
    }


def test_attention_comes_into_use(tmp_path):
    """gamma starts at 0 in both players, and moves with the first step."""
    model = games.game(SAGAN, **players(), loss=HingeLoss())
    gammas = [model.generator.attention["0"].gamma, model.discriminator.attention["0"].gamma]
    assert [gamma.item() for gamma in gammas] == [0, 0]
    games.fit(model, tmp_path, games.images(16), max_steps=2)
    assert all(gamma.abs() > 0 for gamma in gammas)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_both_players_need_attention_and_spectral_normalization(player):
    with pytest.raises(ConfigError, match=f"model=sagan: the {player} has no self-attention"):
        games.game(SAGAN, **players(**{player: {"attention": []}}), loss=HingeLoss())
    with pytest.raises(ConfigError, match=f"model=sagan: the {player} has weights without spe"):
        games.game(SAGAN, **players(**{player: {"spectral_norm": False}}), loss=HingeLoss())


def test_refuses_batch_normalization_in_the_discriminator():
    with pytest.raises(ConfigError, match=r"model=sagan: .*undoes the bound"):
        games.game(SAGAN, **players(discriminator={"norm": "batch"}), loss=HingeLoss())


def test_two_time_scales():
    cfg = compose_config(["model=sagan"])
    check(cfg)
    assert (cfg.optimizer.generator.lr, cfg.optimizer.discriminator.lr) == (1e-4, 4e-4)
    assert cfg.optimizer.generator.betas == cfg.optimizer.discriminator.betas == [0.0, 0.9]
    assert cfg.model.critic_steps == 1


@pytest.mark.parametrize(("size", "condition"), [(48, "none"), (64, "projection")])
def test_it_trains_at_any_size(size, condition, tmp_path):
    shape = [f"data.image_size={size}", "data.batch_size=2", f"condition={condition}"]
    module = take_steps(tiny("model=sagan", *shape), 1, tmp_path).model
    assert module.sample(2).shape == (2, 1, size, size)


def test_dcgan_networks_play_it_too(tmp_path):
    options = [
        f"network.{player}.{option}"
        for player in ("generator", "discriminator")
        for option in ("spectral_norm=true", "attention=auto")
    ]
    cfg = tiny("model=sagan", "network=dcgan", *options, "network.discriminator.norm=none")
    assert take_steps(cfg, 1, tmp_path).model.iteration == 1


def test_the_recipe():
    cfg = compose_config(["experiment=cifar10/sagan"])
    check(cfg)
    assert (cfg.condition.generator, cfg.condition.discriminator) == ("normalization", "projection")
    assert cfg.network.generator.attention == cfg.network.discriminator.attention == [16]
    assert (cfg.model.critic_steps, cfg.data.batch_size) == (5, 64)
