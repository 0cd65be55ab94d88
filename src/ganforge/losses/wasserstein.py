from __future__ import annotations

from torch import Tensor

from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.streams import Noise


class WassersteinLoss(AdversarialLoss):
    """The critic's estimate of the earth mover's distance, E[D(x)] - E[D(G(z))].

    Arjovsky et al. 2017, arXiv:1701.07875. It is a distance (times a constant) only while the
    critic is Lipschitz: combine it with ``regularizer=[weight_clip]``,
    ``regularizer=[gradient_penalty]`` or a spectrally normalized network.
    """

    boundary = None

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, noise: Noise | None = None
    ) -> Tensor:
        """Returns E[D(G(z))] - E[D(x)], the negative of the estimated distance, a scalar."""
        return fake_logits.mean() - real_logits.mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Returns -E[D(G(z))], a scalar."""
        return -fake_logits.mean()
