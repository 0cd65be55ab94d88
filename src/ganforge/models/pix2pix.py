from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.adversarial import CriticSteps, OptimizerFactory, Schedule, no_schedule
from ganforge.models.averaging import ExponentialMovingAverage
from ganforge.models.batches import Batch
from ganforge.models.translation import TranslationGame
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise


class Pix2Pix(TranslationGame):
    """Image-to-image translation from pairs: Isola et al. 2017, arXiv:1611.07004.

    G* = arg min_G max_D L_cGAN(G, D) + lambda L_L1(G). The judge sees the input beside the output,
    and the noise is the generator's dropout. While D is optimized its objective is divided by 2.
    G is updated first and D then judges the same outputs, so that each is generated once.

    Args:
        generator: maps inputs to outputs; has ``in_channels`` and ``out_channels``.
        discriminator: judges patches of input and output side by side.
        loss: what each player minimises, given the logits.
        generator_optimizer: makes the generator's optimizer from its parameters.
        discriminator_optimizer: makes the discriminator's optimizer from its parameters.
        regularizers: penalties and constraints by name.
        augment: differentiable change of reals and fakes before they are judged.
        generator_schedule: factor of the generator's learning rate at each step.
        discriminator_schedule: factor of the discriminator's learning rate at each step.
        average: moving average of the generator; None evaluates the live weights.
        critic_steps: discriminator updates for each generator update.
        accumulate: parts a batch is worked through in, to save memory.
        clip_norm: largest norm of a player's gradient.
        adversarial_weight: factor of the generator's adversarial loss; 0 is not a game.
        discriminator_weight: factor of the discriminator's loss, the paper's 1/2.
        l1_weight: the paper's lambda.
        direction: which domain is the input, "AtoB" or "BtoA".
        seed: of every random stream in training.
    """

    needs_pairs = True

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
        adversarial_weight: float = 1.0,
        discriminator_weight: float = 0.5,
        l1_weight: float = 100.0,
        direction: str = "AtoB",
        seed: int = 0,
    ) -> None:
        if not all(hasattr(generator, name) for name in ("in_channels", "out_channels")):
            raise ConfigError(
                "model=pix2pix needs one network from inputs to outputs, and "
                f"{type(generator).__name__} is none. Take network=pix2pix"
            )
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
            adversarial_weight=adversarial_weight,
            discriminator_weight=discriminator_weight,
            direction=direction,
            seed=seed,
        )
        if l1_weight < 0:
            raise ConfigError(f"model.l1_weight must be at least 0, got {l1_weight}")
        self.l1_weight = l1_weight
        seen = sum(self.halves("target"))
        if getattr(discriminator, "in_channels", seen) != seen:
            raise ConfigError(
                f"model=pix2pix: the discriminator sees input and output together, {seen} "
                f"channels, and is built for {discriminator.in_channels}"
            )

    def judges(self) -> dict[str, nn.Module]:
        """Returns the one discriminator."""
        return {"target": self.discriminator}

    def makers(self) -> dict[str, nn.Module]:
        """Returns the one generator."""
        return {"target": self.generator}

    def halves(self, domain: str) -> list[int]:
        """Returns the channels of input and output."""
        return [cast(int, self.generator.in_channels), cast(int, self.generator.out_channels)]

    def fakes(self, batch: Batch) -> Batch:
        """Returns ``fake``, the outputs G(x) [B, C_out, H, W]."""
        return {"fake": self.generator(batch["input"])}

    def generator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns L_GAN(G) + lambda E |y - G(x)|_1."""
        x, y = batch["input"], batch["image"]
        fakes = self.fakes(batch)
        self.keep(fakes)
        fake = fakes["fake"].float()
        distance = F.l1_loss(fake, y)
        self.observe("generator/l1", distance)
        real, fake = torch.cat([x, y], 1), torch.cat([x, fake], 1)
        return self.deceive("target", real, fake, batch, noise) + self.l1_weight * distance

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns what D minimises on real and generated pairs."""
        x = batch["input"]
        real, fake = torch.cat([x, batch["image"]], 1), torch.cat([x, batch["fake"]], 1)
        return self.tell_apart("target", real, fake, batch, noise)
