"""StyleGAN2 with networks that take milliseconds."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from ganforge.models.stylegan2 import StyleGAN2
from ganforge.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from ganforge.regularizers.path_length import PathLength
from ganforge.regularizers.zero_centered import R1
from tests.support import games

ADAM = partial(torch.optim.Adam, lr=0.002, betas=(0.0, 0.99))


def players(minibatch_stddev: int = 4, **options: Any) -> dict[str, nn.Module]:
    """Small networks with fixed weights."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 4, "full_width": 8, "mapping_layers": 2}
    return {
        "generator": StyleGAN2Generator(16, 1, latent_dim=4, w_dim=5, **sizes, **options),
        "discriminator": StyleGAN2Discriminator(16, 1, minibatch_stddev=minibatch_stddev, **sizes),
    }


def game(**changes: Any) -> StyleGAN2:
    """A StyleGAN2 of these networks with nonzero noise strength."""
    model = games.game(
        StyleGAN2,
        **players() | {"generator_optimizer": ADAM, "discriminator_optimizer": ADAM} | changes,
    )
    for stage in model.generator.stages:
        for layer in stage.layers:
            nn.init.constant_(layer.noise.scale, 0.3)
    return model


def lazy(**changes: Any) -> StyleGAN2:
    """R1 at every third update, path length regularization at every second."""
    terms = {"r1": R1(weight=1.0, every=3), "path_length": PathLength(every=2)}
    return game(regularizers=terms, **changes)
