from __future__ import annotations

from ganforge.models.engine.sigmoid import ends_in_sigmoid
from ganforge.models.gan import GAN, refuse


class WGAN(GAN):
    """Wasserstein GAN with weight clipping (Arjovsky et al. 2017, arXiv:1701.07875).

    The critic estimates the Wasserstein-1 distance by a difference of means; weight clipping keeps
    it Lipschitz. Its output is a real number, not a probability.
    """

    def check(self) -> None:
        """Raises ConfigError if the critic ends in a sigmoid."""
        if ends_in_sigmoid(self.discriminator):
            raise refuse(
                "model=wgan",
                "the critic ends in a sigmoid, but it estimates a distance, not a probability",
                "a network that returns raw logits",
            )
