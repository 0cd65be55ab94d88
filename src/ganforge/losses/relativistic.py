from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.streams import Noise


class RelativisticLoss(AdversarialLoss):
    """The relativistic pairing loss: is the real image of a pair more realistic than the fake?

    Jolicoeur-Martineau 2018, arXiv:1807.00734; the loss of R3GAN (Huang et al. 2024,
    arXiv:2501.05441). Pair i is the i-th real and the i-th fake image of the batch. The
    discriminator minimizes E[softplus(-(D(x) - D(G(z))))], the generator the same with real and
    fake exchanged. Only differences of logits matter.
    """

    paired = True
    boundary = None

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, noise: Noise | None = None
    ) -> Tensor:
        """Returns E[softplus(D(G(z)) - D(x))], a scalar of at least 0; log 2 at equal logits."""
        return F.softplus(fake_logits - real_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Returns E[softplus(D(x) - D(G(z)))], a scalar of at least 0; log 2 at equal logits."""
        if real_logits is None:
            raise ConfigError("RelativisticLoss: the generator's loss needs real_logits")
        return F.softplus(real_logits - fake_logits).mean()
