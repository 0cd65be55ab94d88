from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.adversarial import CriticSteps, OptimizerFactory, Schedule, no_schedule
from ganforge.models.averaging import ExponentialMovingAverage
from ganforge.models.gan import GAN
from ganforge.models.truncation import truncated_latents
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise


class BigGAN(GAN):
    """BigGAN (Brock et al. 2019, arXiv:1809.11096): the hinge game at large batches and widths.

    Its own are the networks, several discriminator updates for each of the generator, a moving
    average, and the truncation trick: images of latents near 0 are more typical and less varied.
    Training always draws from N(0, I).

    Args:
        generator: maps latents [B, latent_dim], and labels, to images [B, C, H, W] in [-1, 1].
        discriminator: maps images, and labels, to raw logits [B].
        loss: what each player minimises.
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
        num_classes: classes of the data that both players are told; 0 for a game without.
        packing: images that the discriminator judges together.
        seed: of every random stream in training.
        truncation: largest absolute value in the latents of generated samples; None for all.
            May be changed at any time: ``model.truncation = 0.5``.
    """

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
        truncation: float | None = None,
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
        if truncation is not None and not truncation > 0:
            raise ConfigError(f"model.truncation must be above 0 or null, got {truncation}")
        self.truncation = truncation

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Returns G(z, y) for z ~ N(0, I), truncated where asked for: [rows, C, H, W]."""
        if self.truncation is None:
            return super().generate(generator, noise, labels)
        length = cast(int, self.generator.latent_dim)
        return self.images(generator, truncated_latents(noise, length, self.truncation), labels)
