from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.losses.label_smoothing import check_label_noise, check_real_label, classification_loss
from ganforge.streams import Noise


class MinimaxLoss(AdversarialLoss):
    """The saturating minimax loss, min_G max_D E[log D(x)] + E[log(1 - D(G(z)))].

    Goodfellow et al. 2014, arXiv:1406.2661, with D = sigmoid(logit) written as softplus. At the
    optimum D = 1/2 everywhere and the value is -log 4. The generator's gradient vanishes where D
    rejects its images with confidence; use :class:`NonsaturatingLoss` for training.

    Args:
        real_label: target of D for real images, in (0.5, 1]. Below 1 is one-sided label smoothing
            (Salimans et al. 2016, arXiv:1606.03498); the fakes' label stays 0.
        label_noise: probability that a sample's label is flipped in D's update, in [0, 0.5). A flip
            exchanges ``real_label`` and 0.
    """

    def __init__(self, real_label: float = 1.0, label_noise: float = 0.0) -> None:
        super().__init__()
        check_real_label("MinimaxLoss", real_label)
        check_label_noise("MinimaxLoss", label_noise)
        self.real_label = real_label
        self.label_noise = label_noise

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, noise: Noise | None = None
    ) -> Tensor:
        """Returns -E[log D(x)] - E[log(1 - D(G(z)))], a scalar of at least 0."""
        return classification_loss(
            real_logits, fake_logits, self.real_label, self.label_noise, noise
        )

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Returns E[log(1 - D(G(z)))], a scalar of at most 0."""
        return -F.softplus(fake_logits).mean()
