from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganforge.losses.label_smoothing import ClassificationLoss


class MinimaxLoss(ClassificationLoss):
    """The saturating minimax loss, min_G max_D E[log D(x)] + E[log(1 - D(G(z)))].

    Goodfellow et al. 2014, arXiv:1406.2661. At the optimum D = 1/2 everywhere and the value is
    -log 4. The generator's gradient vanishes where D rejects its images with confidence; use
    :class:`NonsaturatingLoss` for training.
    """

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Returns E[log(1 - D(G(z)))], a scalar of at most 0."""
        return -F.softplus(fake_logits).mean()
