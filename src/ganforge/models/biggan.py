from __future__ import annotations

from typing import Unpack, cast

from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.models.critic import labelled
from ganforge.models.engine.sampling import truncated_latents
from ganforge.models.gan import GAN
from ganforge.models.parts import GANParts
from ganforge.streams import Noise


class BigGAN(GAN):
    """BigGAN (Brock et al. 2019, arXiv:1809.11096): hinge loss with large batches and networks.

    It adds its own networks, several discriminator updates per generator update, a moving average,
    and the truncation trick: images of latents near 0 are more typical and less varied. Training
    always draws from N(0, I).

    Args:
        truncation: largest absolute value in the latents of samples; None for no truncation.
            May be changed at any time: ``model.truncation = 0.5``.
        **parts: see GAN.
    """

    def __init__(self, *, truncation: float | None = None, **parts: Unpack[GANParts]) -> None:
        super().__init__(**parts)
        if truncation is not None and not truncation > 0:
            raise ConfigError(f"model.truncation must be above 0 or null, got {truncation}")
        self.truncation = truncation

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Returns G(z, y) for z ~ N(0, I), truncated if ``truncation`` is set: [rows, C, H, W]."""
        z = truncated_latents(noise, cast(int, self.generator.latent_dim), self.truncation)
        return labelled(generator, z, labels)
