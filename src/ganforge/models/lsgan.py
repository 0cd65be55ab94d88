from __future__ import annotations

from ganforge.models.engine.checks import refuse_sigmoid
from ganforge.models.gan import GAN


class LSGAN(GAN):
    """Least squares GAN (Mao et al. 2017, arXiv:1611.04076).

    Fakes far on the correct side of the decision boundary are still pulled towards it. This gives
    a gradient where that of the cross entropy vanishes.
    """

    def check(self) -> None:
        """Raises ConfigError if the discriminator ends in a sigmoid."""
        refuse_sigmoid("lsgan", self.discriminator, "whose saturation least squares avoids")
