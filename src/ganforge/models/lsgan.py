from __future__ import annotations

from ganforge.models.engine.sigmoid import ends_in_sigmoid
from ganforge.models.gan import GAN, refuse


class LSGAN(GAN):
    """Least squares GAN (Mao et al. 2017, arXiv:1611.04076).

    Fakes are pulled to the decision boundary even when they are on its right side, which leaves a
    gradient where the cross entropy has none.
    """

    def check(self) -> None:
        """Refuses a discriminator that squashes its output."""
        if ends_in_sigmoid(self.discriminator):
            raise refuse(
                "model=lsgan",
                "the discriminator ends in a sigmoid, whose saturation least squares avoids",
                "a network that returns raw logits",
            )
