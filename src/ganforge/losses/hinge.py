from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.streams import Noise


class HingeLoss(AdversarialLoss):
    """The margin loss E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))].

    Lim & Ye 2017, arXiv:1705.02894. Samples beyond the margin give the discriminator no gradient;
    the generator minimizes -E[D(G(z))] over all samples.
    """

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, noise: Noise | None = None
    ) -> Tensor:
        """Returns E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], a scalar of at least 0."""
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Returns -E[D(G(z))], a scalar."""
        return -fake_logits.mean()
