from __future__ import annotations

from ganforge.models.engine.conditioning import refuse_unconditional
from ganforge.models.gan import GAN


class CGAN(GAN):
    """Conditional GAN (Mirza & Osindero 2014, arXiv:1411.1784):  min_G max_D V(D(x|y), G(z|y)).

    Both players are given the label as one more input. Fakes are asked for the classes of the
    reals that they are judged beside.
    """

    needs_labels = True

    def check(self) -> None:
        """Refuses a player that is not told the label."""
        for player in ("generator", "discriminator"):
            refuse_unconditional("cgan", self, player, "condition=concatenation")
