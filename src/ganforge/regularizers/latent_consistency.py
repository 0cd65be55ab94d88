from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import require
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise


class LatentConsistency(Regularizer):
    """E[(D(G(z)) - D(G(z + e)))^2]: neighbors in the latent space should have similar logits.

    The discriminator's part of zCR, Zhao et al. 2021, arXiv:2002.04724, e ~ N(0, sigma^2 I). The
    generator's part is :class:`~ganforge.regularizers.LatentDiversity`.

    Args:
        weight: the paper's lambda_dis.
        every: apply at every n-th update of the discriminator, n times as strongly.
        sigma: standard deviation of the step in the latent space, above 0.
        precision: see Regularizer.
    """

    second_order = False
    of_latents = True

    def __init__(
        self,
        weight: float = 5.0,
        every: int = 1,
        sigma: float = 0.03,
        precision: str = "float32",
    ) -> None:
        super().__init__(weight, every, precision)
        require(sigma > 0, f"LatentConsistency: sigma must be above 0, got {sigma}")
        self.sigma = sigma

    def term(self, context: UpdateContext) -> Tensor:
        """Returns the mean squared difference of logits, a scalar."""
        with torch.no_grad():
            neighbors = context.generate(step(context.latents, context.noise, self.sigma))
        return (context.fake_logits - context.critic(context.augment(neighbors))).square().mean()


def step(latents: Tensor, noise: Noise, sigma: float) -> Tensor:
    """Returns z + e for latents z [B, latent_dim], e ~ N(0, sigma^2 I)."""
    return latents + sigma * noise.normal(*latents.shape[1:]).to(latents)
