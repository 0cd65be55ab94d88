from __future__ import annotations

from ganforge.models.engine.checks import refuse_batch_norm
from ganforge.models.gan import GAN


class DRAGAN(GAN):
    """Deep regret analytic GAN (Kodali et al. 2017, arXiv:1705.07215).

    The original GAN loss, with a penalty that pulls the norm of the discriminator's gradient around
    real images to 1. This avoids sharp local equilibria, in which modes are lost. The penalty needs
    the gradient of each image separately, which batch normalization does not provide.
    """

    def check(self) -> None:
        """Raises ConfigError if the discriminator has batch normalization."""
        refuse_batch_norm(
            "dragan",
            self.discriminator,
            "but the penalty needs each image's own gradient",
            "network=dcgan_layer_norm, or network.discriminator.norm=layer",
        )
