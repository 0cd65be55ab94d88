from __future__ import annotations

from ganforge.models.engine.checks import refuse_unconditional
from ganforge.models.gan import GAN


class CGAN(GAN):
    """Conditional GAN (Mirza & Osindero 2014, arXiv:1411.1784):  min_G max_D V(D(x|y), G(z|y)).

    Both players get the label as an additional input. Fakes have the classes of the reals in the
    same batch.
    """

    needs = frozenset({"labels"})

    def check(self) -> None:
        """Raises ConfigError if a player is not conditioned on the label."""
        for player in ("generator", "discriminator"):
            network = getattr(self, player)
            refuse_unconditional("cgan", network, player, "condition=concatenation")
