from __future__ import annotations

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from ganforge.models.auxiliary import AuxiliaryGAN, check_weights
from ganforge.models.engine.adversarial import Player
from ganforge.models.engine.conditioning import refuse_unconditional
from ganforge.models.parts import GANParts
from ganforge.regularizers.context import Turn


class ACGAN(AuxiliaryGAN):
    """Auxiliary classifier GAN (Odena et al. 2017, arXiv:1610.09585).

    The discriminator names the class of every image, real or generated; both players want it to be
    right:

        L_S = E[log P(real | x)] + E[log P(fake | G(z, c))]
        L_C = E[log P(c | x)] + E[log P(c | G(z, c))]

    D maximises L_S + L_C, G maximises L_C - L_S. The generator is given labels; the discriminator
    returns ``num_classes`` auxiliary outputs besides the logit.

    Args:
        discriminator_weight: of -L_C in what D minimises.
        generator_weight: of -L_C in what G minimises. WGAN-GP's code (arXiv:1704.00028) has 0.1.
        **parts: see GAN.
    """

    needs_labels = True

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
        """Refuses a generator without labels, and a discriminator without classifier."""
        refuse_unconditional("acgan", self, "generator", "condition=classifier")
        self.refuse_outputs("acgan", [self.num_classes], "condition=classifier")

    def auxiliary_loss(self, player: Player, outputs: list[Tensor], turn: Turn) -> Tensor:
        """Returns the weighted cross entropies of the labels: -L_C."""
        assert turn.labels is not None
        if player == "generator":
            loss = F.cross_entropy(outputs[0], turn.labels)
            self.observe("generator/classification", loss)
            return self.generator_weight * loss
        real, fake = (F.cross_entropy(logits, turn.labels) for logits in outputs)
        right = (outputs[0].argmax(1) == turn.labels).float().mean()
        self.observe("discriminator/classification", real)
        self.observe("discriminator/class_accuracy", right)
        return self.discriminator_weight * (real + fake)
