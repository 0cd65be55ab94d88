from __future__ import annotations

from torch.nn.modules.batchnorm import _BatchNorm

from ganforge.models.gan import GAN, refuse


class DRAGAN(GAN):
    """Deep regret analytic GAN (Kodali et al. 2017, arXiv:1705.07215).

    The plain game, with the discriminator's gradient around real images drawn to norm 1, which
    keeps it from the sharp local equilibria at which modes are lost. The penalty is on single
    images: in a discriminator with batch normalization they have no gradient of their own.
    """

    def check(self) -> None:
        """Refuses batch normalization in the discriminator."""
        if any(isinstance(layer, _BatchNorm) for layer in self.discriminator.modules()):
            raise refuse(
                "model=dragan",
                "the discriminator has batch normalization, and the penalty holds each image's "
                "own gradient",
                "network=dcgan_layer_norm, or network.discriminator.norm=layer",
            )
