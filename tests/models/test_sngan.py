from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.config.check import check
from ganforge.config.compose import compose_config
from ganforge.errors import ConfigError
from ganforge.losses.hinge import HingeLoss
from ganforge.models.sngan import SNGAN
from ganforge.networks.layers.spectral_norm import SpectralNorm
from ganforge.networks.resnet import ResNetDiscriminator, ResNetGenerator
from ganforge.regularizers.weight_clip import WeightClip
from ganforge.regularizers.zero_centered import R1
from tests.support import games
from tests.support.configs import shrunk, take_steps, tiny


def players(**changes):
    torch.manual_seed(0)
    options = {"width": 4, "spectral_norm": True} | changes
    return {
        "generator": ResNetGenerator(16, 1, latent_dim=4, width=4),
        "discriminator": ResNetDiscriminator(16, 1, **options),
    }


def test_the_discriminator_stays_bounded_while_it_learns(tmp_path):
    """A step that would make the weights ten times as large leaves their spectra at 1."""
    model = games.game(SNGAN, **players(), loss=HingeLoss(), critic_steps=5)
    with torch.no_grad():
        for parameter in model.discriminator.parameters():
            parameter.mul_(10)
    games.fit(model, tmp_path, games.images(16), max_steps=3)
    tops = [
        torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item()
        for layer in model.discriminator.eval().modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    assert tops == pytest.approx([1] * len(tops), abs=0.15)  # one power iteration an update


@pytest.mark.parametrize(("accumulate", "critic_steps"), [(1, 3), (2, 1)])
def test_an_update_takes_one_power_iteration(accumulate, critic_steps, tmp_path, monkeypatch):
    """For reals, fakes and penalties together; one for each part of a batch that is split."""
    terms, options = {"r1": R1(weight=0.1)}, {"accumulate": accumulate}
    model = games.game(
        SNGAN,
        **players(),
        loss=HingeLoss(),
        regularizers=terms,
        critic_steps=critic_steps,
        **options,
    )
    iterations = []
    iterate = SpectralNorm._iterate

    def counted(self, matrix):
        iterations.append(id(self))
        iterate(self, matrix)

    monkeypatch.setattr(SpectralNorm, "_iterate", counted)
    games.fit(model, tmp_path, games.images(16), max_steps=2)
    layers = sum(isinstance(m, SpectralNorm) for m in model.discriminator.modules())
    updates = 2 * (critic_steps + 1)  # the generator's updates judge its fakes
    assert len(iterations) == updates * accumulate * layers
    assert len(set(iterations)) == layers


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"spectral_norm": False}, r"without spectral normalization \(blocks.* more\).*Use"),
        ({"norm": "batch"}, r"BatchNorm2d \(blocks.*undoes the bound.*norm=none"),
    ],
)
def test_refuses_a_discriminator_without_its_bound(wrong, reason):
    with pytest.raises(ConfigError, match=r"model=sngan: the discriminator has .*" + reason):
        games.game(SNGAN, **players(**wrong), loss=HingeLoss())


def test_refuses_clipping_with_spectral_normalization():
    with pytest.raises(ConfigError, match=r"weight_clip: .* undoes the bound"):
        games.game(SNGAN, **players(), loss=HingeLoss(), regularizers={"clip": WeightClip()})


def test_other_norms_and_other_networks_play_too():
    assert games.game(SNGAN, **players(norm="layer"), loss=HingeLoss())
    with pytest.raises(
        ConfigError, match=r"model=sngan: .* without spectral normalization \(hidden"
    ):
        games.game(SNGAN, loss=HingeLoss())


@pytest.mark.parametrize("condition", ["none", "projection", "concatenation"])
def test_it_trains_on_digits_with_no_further_argument(condition, tmp_path):
    """32x32 in gray; with labels through condition= alone."""
    overrides = ["trainer=cpu", "metrics=[]", "logger=csv", "data.batch_size=2"]
    cfg = compose_config(["model=sngan", "data=digits", f"condition={condition}", *overrides])
    check(cfg)
    module = take_steps(shrunk(cfg), 1, tmp_path).model
    assert module.sample(3).shape == (3, 1, 32, 32)
    assert module.num_classes == (0 if condition == "none" else 10)


def test_it_trains_with_packing_accumulation_and_groups(tmp_path):
    groups = "network.discriminator.minibatch_stddev=2"
    for further in ("model.packing=2", "model.accumulate=2"):
        cfg = tiny("model=sngan", "model.critic_steps=1", groups, further)
        assert take_steps(cfg, 1, tmp_path).model.iteration == 1


def test_the_recipes_have_the_published_networks_and_numbers():
    for experiment, size in (("cifar10/sngan", 32), ("celeba/sngan", 64)):
        cfg = compose_config([f"experiment={experiment}"])
        check(cfg)
        assert cfg.model.critic_steps == 5
        assert cfg.schedule._target_.endswith("LinearDecay")
        assert cfg.data.image_size == size
        assert cfg.network.discriminator.spectral_norm
        assert not cfg.network.generator.spectral_norm
        for player in ("generator", "discriminator"):
            assert cfg.network[player].width is None  # the published one
            assert cfg.optimizer[player].lr == 2e-4
            assert cfg.optimizer[player].betas == [0.0, 0.9]
