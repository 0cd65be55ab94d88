from __future__ import annotations

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from ganforge.models.engine.checks import check_auxiliary, check_weights, refuse_unconditional
from ganforge.models.engine.update import Update
from ganforge.models.gan import GAN
from ganforge.models.parts import GANParts
from ganforge.regularizers.context import UpdateContext


class ACGAN(GAN):
    """Auxiliary classifier GAN (Odena et al. 2017, arXiv:1610.09585).

    The discriminator classifies every image, real or generated; both players maximize the
    log-likelihood of the correct class:

        L_S = E[log P(real | x)] + E[log P(fake | G(z, c))]
        L_C = E[log P(c | x)] + E[log P(c | G(z, c))]

    D maximizes L_S + L_C, G maximizes L_C - L_S. The generator is conditioned on labels; the
    discriminator returns ``num_classes`` auxiliary outputs in addition to the logit.

    Args:
        discriminator_weight: weight of -L_C in the loss of D.
        generator_weight: weight of -L_C in the loss of G; 0.1 in the code of WGAN-GP
            (arXiv:1704.00028).
        **parts: see GAN.
    """

    needs = frozenset({"labels"})
    auxiliary = True

    def __init__(
        self,
        *,
        discriminator_weight: float = 1.0,
        generator_weight: float = 1.0,
        **parts: Unpack[GANParts],
    ) -> None:
        super().__init__(**parts)
        check_weights(discriminator_weight=discriminator_weight, generator_weight=generator_weight)
        self.discriminator_weight = discriminator_weight
        self.generator_weight = generator_weight

    def check(self) -> None:
        """Raises ConfigError if G is unconditional or D has no auxiliary classifier."""
        refuse_unconditional("acgan", self.generator, "generator", "condition=classifier")
        remedy = "condition=classifier"
        check_auxiliary("acgan", self.discriminator, [self.num_classes], remedy)

    def penalties(self, update: Update, context: UpdateContext) -> Tensor:
        """Returns -L_C plus the weighted sum of the regularizers due at this update, in float32."""
        return self.classification(update, context) + super().penalties(update, context)

    def classification(self, update: Update, context: UpdateContext) -> Tensor:
        """Returns -L_C, the weighted cross entropy of the labels."""
        (real, fake), labels = context.auxiliary, context.labels
        assert labels is not None
        assert fake is not None
        if update.player == "generator":
            loss = F.cross_entropy(fake, labels)
            update.observe("generator/classification", loss)
            return self.generator_weight * loss
        assert real is not None
        of_real, of_fake = F.cross_entropy(real, labels), F.cross_entropy(fake, labels)
        update.observe("discriminator/classification", of_real)
        update.observe("discriminator/class_accuracy", (real.argmax(1) == labels).float().mean())
        return self.discriminator_weight * (of_real + of_fake)
