from __future__ import annotations

from torch import Tensor

from ganforge.errors import require
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.losses.label_smoothing import check_label_noise, noisy_labels
from ganforge.streams import Noise


class LeastSquaresLoss(AdversarialLoss):
    """The discriminator regresses labels: 1/2 E[(D(x) - b)^2] + 1/2 E[(D(G(z)) - a)^2].

    Mao et al. 2017, arXiv:1611.04076. The generator minimizes 1/2 E[(D(G(z)) - c)^2]. With
    b - c = 1 and b - a = 2 (labels -1, 1, 0) this is Pearson's chi^2 divergence.

    Args:
        fake_label: the paper's a.
        real_label: the paper's b, above ``fake_label``. 0.9 in place of 1 is one-sided label
            smoothing (Salimans et al. 2016, arXiv:1606.03498).
        generator_label: the paper's c, the target of D's output in the generator's loss, above
            ``fake_label``.
        label_noise: probability that a sample's label is flipped in D's update, in [0, 0.5). A flip
            exchanges ``fake_label`` and ``real_label``.
    """

    def __init__(
        self,
        fake_label: float = 0.0,
        real_label: float = 1.0,
        generator_label: float = 1.0,
        label_noise: float = 0.0,
    ) -> None:
        super().__init__()
        for name, label in (("real_label", real_label), ("generator_label", generator_label)):
            require(
                label > fake_label,
                f"LeastSquaresLoss: {name} must be above fake_label={fake_label}, got {label}",
            )
        check_label_noise("LeastSquaresLoss", label_noise)
        self.fake_label = fake_label
        self.real_label = real_label
        self.generator_label = generator_label
        self.label_noise = label_noise
        self.boundary = (fake_label + real_label) / 2

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, noise: Noise | None = None
    ) -> Tensor:
        """Returns 1/2 E[(D(x) - b)^2] + 1/2 E[(D(G(z)) - a)^2], a scalar of at least 0."""
        a, b, p = self.fake_label, self.real_label, self.label_noise
        real_labels = noisy_labels(real_logits, b, a, p, noise)
        fake_labels = noisy_labels(fake_logits, a, b, p, noise)
        real_error = (real_logits - real_labels).square().mean()
        fake_error = (fake_logits - fake_labels).square().mean()
        return (real_error + fake_error) / 2

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Returns 1/2 E[(D(G(z)) - c)^2], a scalar of at least 0."""
        return (fake_logits - self.generator_label).square().mean() / 2
