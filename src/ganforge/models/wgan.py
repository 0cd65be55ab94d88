from __future__ import annotations

from torch import nn

from ganforge.models.engine.checks import refuse_sigmoid
from ganforge.models.gan import GAN


class WGAN(GAN):
    """Wasserstein GAN with weight clipping (Arjovsky et al. 2017, arXiv:1701.07875).

    The critic estimates the Wasserstein-1 distance by a difference of means; weight clipping keeps
    it Lipschitz. Its output is a real number, not a probability.
    """

    def check(self) -> None:
        """Raises ConfigError if the critic ends in a sigmoid."""
        check_critic(self.discriminator)


def check_critic(discriminator: nn.Module) -> None:
    """Raises ConfigError if the critic ends in a sigmoid."""
    reason = "but a critic estimates a distance, not a probability"
    refuse_sigmoid("wgan", discriminator, reason)
