"""Label smoothing and label noise for discriminators that classify real and fake images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ConfigError, require
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.streams import Noise


def check_label_noise(name: str, label_noise: float) -> None:
    """Raises ConfigError for a flip probability outside [0, 0.5); at 0.5 labels carry no signal."""
    require(0 <= label_noise < 0.5, f"{name}: label_noise must be in [0, 0.5), got {label_noise}")


def noisy_labels(
    logits: Tensor, label: float, other: float, label_noise: float, noise: Noise | None
) -> Tensor:
    """Returns [B] labels for ``logits``: ``label``, or ``other`` with probability ``label_noise``.

    Nothing is drawn when ``label_noise`` is 0.

    Args:
        logits: [B].
        label: the correct label.
        other: the label of the other class.
        label_noise: probability of a flip, independent for each sample.
        noise: random draws of this update, one row per image. A pack of images has several rows and
            one logit; with a patch discriminator, an image has one row and several logits, which
            are flipped together.
    """
    labels = torch.full_like(logits, label)
    if label_noise == 0:
        return labels
    if noise is None:
        raise ConfigError(f"label_noise={label_noise} needs an argument noise")
    # There is one logit per image, per pack of images, or per patch of an image.
    packing, patches = max(noise.rows // len(logits), 1), max(len(logits) // noise.rows, 1)
    flipped = noise.uniform()[::packing].repeat_interleave(patches).to(logits.device) < label_noise
    return labels.masked_fill(flipped, other)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean of -y log D - (1 - y) log(1 - D) with D = sigmoid(logit), a scalar.

    Both terms are computed as softplus, so that neither rounds to 0 if D is close to 0 or 1.

    Args:
        logits: [B].
        labels: [B] in [0, 1].
    """
    return (labels * F.softplus(-logits) + (1 - labels) * F.softplus(logits)).mean()


class ClassificationLoss(AdversarialLoss):
    """Base class of losses whose discriminator classifies: -E[log D(x)] - E[log(1 - D(G(z)))].

    Goodfellow et al. 2014, arXiv:1406.2661, with D = sigmoid(logit) written as softplus.

    Args:
        real_label: target of D for real images, in (0.5, 1]. Below 1 is one-sided label smoothing
            (Salimans et al. 2016, arXiv:1606.03498); the fakes' label stays 0.
        label_noise: probability that a sample's label is flipped in D's update, in [0, 0.5). A flip
            exchanges ``real_label`` and 0.
    """

    def __init__(self, real_label: float = 1.0, label_noise: float = 0.0) -> None:
        super().__init__()
        name = type(self).__name__
        require(0.5 < real_label <= 1, f"{name}: real_label must be in (0.5, 1], got {real_label}")
        check_label_noise(name, label_noise)
        self.real_label = real_label
        self.label_noise = label_noise

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, noise: Noise | None = None
    ) -> Tensor:
        """Returns -E[log D(x)] - E[log(1 - D(G(z)))], a scalar of at least 0; log 4 at logits of 0.

        The flips of the reals are drawn before those of the fakes.
        """
        label, p = self.real_label, self.label_noise
        real_labels = noisy_labels(real_logits, label, 0.0, p, noise)
        fake_labels = noisy_labels(fake_logits, 0.0, label, p, noise)
        return cross_entropy(real_logits, real_labels) + cross_entropy(fake_logits, fake_labels)
