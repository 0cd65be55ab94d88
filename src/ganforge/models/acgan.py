from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.adversarial import (
    CriticSteps,
    OptimizerFactory,
    Player,
    Schedule,
    no_schedule,
)
from ganforge.models.auxiliary import AuxiliaryGAN, check_weights
from ganforge.models.averaging import ExponentialMovingAverage
from ganforge.models.conditioning import refuse_unconditional
from ganforge.regularizers.regularizer import Regularizer
from ganforge.regularizers.turn import Turn


class ACGAN(AuxiliaryGAN):
    """Auxiliary classifier GAN (Odena et al. 2017, arXiv:1610.09585).

    The discriminator names the class of every image, real or generated; both players want it to be
    right:

        L_S = E[log P(real | x)] + E[log P(fake | G(z, c))]
        L_C = E[log P(c | x)] + E[log P(c | G(z, c))]

    D maximises L_S + L_C, G maximises L_C - L_S.

    Args:
        generator: maps latents and labels to images.
        discriminator: gives a logit, and ``num_classes`` auxiliary outputs.
        loss: what each player minimises besides.
        generator_optimizer: see GAN, as all down to ``seed``.
        discriminator_optimizer: makes the discriminator's optimizer from its parameters.
        regularizers: penalties and constraints by name.
        augment: differentiable change of reals and fakes before they are judged.
        generator_schedule: factor of the generator's learning rate at each step.
        discriminator_schedule: factor of the discriminator's learning rate at each step.
        average: moving average of the generator; None evaluates the live weights.
        critic_steps: discriminator updates for each generator update.
        accumulate: parts a batch is worked through in, to save memory.
        clip_norm: largest norm of a player's gradient.
        num_classes: classes of the data.
        packing: images that the discriminator judges together: 1.
        seed: of every random stream in training.
        discriminator_weight: of -L_C in what D minimises.
        generator_weight: of -L_C in what G minimises. WGAN-GP's code (arXiv:1704.00028) has 0.1.
    """

    needs_labels = True

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: AdversarialLoss,
        generator_optimizer: OptimizerFactory,
        discriminator_optimizer: OptimizerFactory,
        regularizers: dict[str, Regularizer] | None = None,
        augment: Augmentation | None = None,
        generator_schedule: Schedule = no_schedule,
        discriminator_schedule: Schedule = no_schedule,
        average: ExponentialMovingAverage | None = None,
        critic_steps: int | CriticSteps = 1,
        accumulate: int = 1,
        clip_norm: float | None = None,
        num_classes: int = 0,
        packing: int = 1,
        seed: int = 0,
        discriminator_weight: float = 1.0,
        generator_weight: float = 1.0,
    ) -> None:
        super().__init__(
            generator=generator,
            discriminator=discriminator,
            loss=loss,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            regularizers=regularizers,
            augment=augment,
            generator_schedule=generator_schedule,
            discriminator_schedule=discriminator_schedule,
            average=average,
            critic_steps=critic_steps,
            accumulate=accumulate,
            clip_norm=clip_norm,
            num_classes=num_classes,
            packing=packing,
            seed=seed,
        )
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
