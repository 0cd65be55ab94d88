from __future__ import annotations

from torch import nn

from ganforge.models.engine.checks import mismatch, refuse_batch_norm
from ganforge.models.gan import GAN
from ganforge.networks.layers.initialization import unnormalized_weights


class SNGAN(GAN):
    """Spectrally normalized GAN (Miyato et al. 2018, arXiv:1802.05957).

    Every weight of the discriminator is divided by its largest singular value, which bounds the
    discriminator's Lipschitz constant. The loss is the hinge loss; with labels, the players are
    those of Miyato & Koyama 2018 (arXiv:1802.05637).
    """

    def check(self) -> None:
        """Raises ConfigError if D has an unnormalized weight or batch normalization."""
        check_bound(type(self).__name__.lower(), self.discriminator)


def check_bound(model: str, discriminator: nn.Module) -> None:
    """Raises ConfigError if D has an unnormalized weight or batch normalization."""
    require_spectral_norm(model, "discriminator", discriminator)
    refuse_batch_norm(
        model,
        discriminator,
        "which divides by a standard deviation and undoes the bound of spectral normalization",
        "network.discriminator.norm=none",
    )


def require_spectral_norm(model: str, player: str, network: nn.Module) -> None:
    """Raises ConfigError if a player has a weight without spectral normalization."""
    plain = unnormalized_weights(network)
    if plain:
        raise mismatch(
            model,
            f"the {player} has weights without spectral normalization ({plain[0]}"
            + (f" and {len(plain) - 1} more)" if plain[1:] else ")"),
            f"network.{player}.spectral_norm=true, where the network has it",
        )
