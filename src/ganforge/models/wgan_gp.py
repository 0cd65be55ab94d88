from __future__ import annotations

from ganforge.models.gan import refuse
from ganforge.models.wgan import WGAN
from ganforge.regularizers.weight_clip import WeightClip


class WGANGP(WGAN):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028).

    The critic is kept 1-Lipschitz by a penalty on its gradient between reals and fakes. The penalty
    belongs to single images, so the critic may not mix them: no BatchNorm (the penalty itself
    refuses it).
    """

    def check(self) -> None:
        """Refuses a sigmoid output, and clipping beside the penalty that replaces it."""
        super().check()
        if any(isinstance(term, WeightClip) for term in self.regularizers.values()):
            raise refuse(
                "model=wgan_gp",
                "weight clipping beside the penalty bounds the critic twice, and the clip wins",
                "regularizer=[gradient_penalty], or model=wgan",
            )
