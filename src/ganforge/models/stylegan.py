from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.adversarial import CriticSteps, OptimizerFactory, Schedule, no_schedule
from ganforge.models.averaging import ExponentialMovingAverage
from ganforge.models.gan import refuse
from ganforge.models.growth import Growth
from ganforge.models.pggan import PGGAN
from ganforge.models.style_based import StyleBased
from ganforge.regularizers.regularizer import Regularizer


class StyleGAN(PGGAN, StyleBased):
    """StyleGAN (Karras et al. 2019, arXiv:1812.04948): PGGAN's growth with a style-based generator.

    Its own are the mapping network, whose styles steer the statistics of features, maps of noise
    for what is left to chance, style mixing, and truncation in W. The paper starts at 8x8, and
    trains on faces (FFHQ) by the nonsaturating loss with R1.

    Set ``growth.start_size`` to the size of the images for a game that does not grow.

    Args:
        generator: maps latents [B, latent_dim] to styles, and these to images [B, C, S, S] of the
            level that its method ``grow`` was told.
        discriminator: maps such images to raw logits [B].
        loss: what each player minimises.
        generator_optimizer: see GAN, as all down to ``seed``.
        discriminator_optimizer: makes the discriminator's optimizer from its parameters.
        growth: when the players grow, and what batches and learning rates they take then.
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
        style_mixing: share of the images that are made of two latents while it learns.
        truncation: psi of samples, in [-1, 1]: w' = mean + psi (w - mean). None for all of W. May
            be changed at any time: ``model.truncation = 0.7``.
        truncation_cutoff: layers that are truncated, from the coarsest on; None for all.
        noise: of samples: "random"; "const", the same for all; or "none".
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: AdversarialLoss,
        generator_optimizer: OptimizerFactory,
        discriminator_optimizer: OptimizerFactory,
        growth: Growth,
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
        style_mixing: float = 0.9,
        truncation: float | None = None,
        truncation_cutoff: int | None = None,
        noise: str = "random",
    ) -> None:
        super().__init__(
            generator=generator,
            discriminator=discriminator,
            loss=loss,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            growth=growth,
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
        self.set_styles(style_mixing, truncation, truncation_cutoff, noise)

    def check(self) -> None:
        """Refuses players that can not grow, and a generator without styles."""
        missing = [n for n in ("mapping", "synthesize", "grow") if not hasattr(self.generator, n)]
        if missing or not hasattr(self.discriminator, "grow"):
            raise refuse(
                "model=stylegan",
                "the generator has no styles, or one of the networks does not grow",
                "network=stylegan; or model=pggan, which is the same game without styles",
            )

    def layers_in_use(self, network: Any) -> int:
        """Returns how many of a generator's styles its images depend on at present."""
        return len(network.noise_sides)

    def render(
        self, ws: Tensor, seed: int = 0, weights: Literal["ema", "raw"] = "ema", index: int = 0
    ) -> Tensor:
        """Returns images [B, C, H, W] of full size, in [-1, 1], of styles ws [B, num_ws, w_dim].

        Args:
            ws: one style for each layer.
            seed: of the samples' own stream.
            weights: "ema" for the averaged generator, "raw" for the live one.
            index: of the sample whose noise all of them get.
        """
        self.grow()
        images = super().render(ws, seed, weights, index)
        return F.interpolate(images, size=self.growth.image_size, mode="nearest")
