from __future__ import annotations

from torch import nn

from ganforge.models.engine.checks import mismatch
from ganforge.models.gan import GAN
from ganforge.networks.layers.equalized import EqualizedConv2d


class DCGAN(GAN):
    """Deep convolutional GAN (Radford et al. 2015, arXiv:1511.06434).

    The original GAN loss with two convolutional networks.
    """

    def check(self) -> None:
        """Raises ConfigError if a player has no convolution."""
        kinds = (nn.Conv2d, nn.ConvTranspose2d, EqualizedConv2d)
        for player in (self.generator, self.discriminator):
            if not any(isinstance(layer, kinds) for layer in player.modules()):
                raise mismatch(
                    "dcgan",
                    f"{type(player).__name__} has no convolution",
                    "network=dcgan, or model=gan, which accepts any network",
                )
