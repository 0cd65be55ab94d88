from __future__ import annotations

from torch.nn.modules.batchnorm import _BatchNorm

from ganforge.models.gan import GAN, refuse


class DRAGAN(GAN):
    """Deep regret analytic GAN (Kodali et al. 2017, arXiv:1705.07215).

    The original GAN loss, with a penalty that pulls the norm of the discriminator's gradient around
    real images to 1. This avoids sharp local equilibria, in which modes are lost. The penalty needs
    the gradient of each image separately, which batch normalization does not provide.
    """

    def check(self) -> None:
        """Raises ConfigError if the discriminator has batch normalization."""
        if any(isinstance(layer, _BatchNorm) for layer in self.discriminator.modules()):
            raise refuse(
                "model=dragan",
                "the discriminator has batch normalization, and the penalty holds each image's "
                "own gradient",
                "network=dcgan_layer_norm, or network.discriminator.norm=layer",
            )
