from __future__ import annotations

from ganforge.models.engine.checks import mismatch
from ganforge.models.gan import GAN
from ganforge.models.sngan import check_bound, require_spectral_norm
from ganforge.networks.layers.attention import SelfAttention


class SAGAN(GAN):
    """Self-attention GAN (Zhang et al. 2019, arXiv:1805.08318).

    SNGAN with self-attention in both players and spectral normalization in the generator too. The
    discriminator has a higher learning rate than the generator (two time scales), so one critic
    step is enough.
    """

    def check(self) -> None:
        """Raises ConfigError if a player lacks self-attention or spectral normalization."""
        check_bound(type(self).__name__.lower(), self.discriminator)
        require_spectral_norm("sagan", "generator", self.generator)
        for player in ("generator", "discriminator"):
            layers = getattr(self, player).modules()
            if not any(isinstance(layer, SelfAttention) for layer in layers):
                raise mismatch(
                    "sagan",
                    f"the {player} has no self-attention",
                    f"network.{player}.attention=auto, or model=sngan",
                )
