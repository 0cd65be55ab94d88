from __future__ import annotations

from ganforge.models.engine.checks import mismatch
from ganforge.models.gan import GAN
from ganforge.models.wgan import check_critic
from ganforge.regularizers.weight_clip import WeightClip


class WGANGP(GAN):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028).

    A penalty on the critic's gradient between reals and fakes keeps the critic 1-Lipschitz. The
    penalty applies to single images, so the critic must not mix them: no BatchNorm (the penalty
    itself checks this).
    """

    def check(self) -> None:
        """Raises ConfigError for a sigmoid output, or for weight clipping next to the penalty."""
        check_critic(self.discriminator)
        if any(isinstance(term, WeightClip) for term in self.regularizers.values()):
            raise mismatch(
                "wgan_gp",
                "weight clipping and the gradient penalty both bound the critic, and the clip wins",
                "regularizer=[gradient_penalty], or model=wgan",
            )
