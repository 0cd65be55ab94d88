"""Progressive GANs that take milliseconds: 4x4, 8x8, then 16x16 gray images."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from ganforge.losses.wasserstein import WassersteinLoss
from ganforge.models.engine.progressive import Growth
from ganforge.models.pggan import PGGAN
from ganforge.networks.pggan import PGGANDiscriminator, PGGANGenerator
from ganforge.regularizers.drift import Drift
from ganforge.regularizers.gradient_penalty import GradientPenalty
from tests.support import games

# In batches: 2 at 4x4, 2 fading to 8x8, 2 at 8x8, 2 fading to 16x16. Steps 3 and 7 are mid-fade.
GROWTH = Growth(16, stable_images=2 * games.BATCH, fade_images=2 * games.BATCH)
ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.0, 0.99))


def players(minibatch_stddev: int = 4, packing: int = 1, **options: Any) -> dict[str, nn.Module]:
    """Two small networks with fixed weights."""
    torch.manual_seed(0)
    judging: dict[str, Any] = {"minibatch_stddev": minibatch_stddev, "packing": packing}
    return {
        "generator": PGGANGenerator(16, 1, latent_dim=games.LATENT, width=4, **options),
        "discriminator": PGGANDiscriminator(16, 1, width=4, **judging, **options),
    }


def game(growth: Growth = GROWTH, **changes: Any) -> PGGAN:
    """A PGGAN of these networks, with the settings of the paper."""
    parts = {
        "loss": WassersteinLoss(),
        "regularizers": {"gradient_penalty": GradientPenalty(), "drift": Drift()},
        "generator_optimizer": ADAM,
        "discriminator_optimizer": ADAM,
        "growth": growth,
    }
    return games.game(PGGAN, **{**players(), **parts, **changes})
