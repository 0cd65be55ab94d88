from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganforge.losses.label_smoothing import ClassificationLoss


class NonsaturatingLoss(ClassificationLoss):
    """The discriminator classifies; the generator maximizes E[log D(G(z))].

    Goodfellow et al. 2014, arXiv:1406.2661, section 3: the same fixed point as the minimax game,
    with a strong gradient for the generator where the discriminator wins.
    """

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Returns -E[log D(G(z))], a scalar of at least 0."""
        return F.softplus(-fake_logits).mean()
