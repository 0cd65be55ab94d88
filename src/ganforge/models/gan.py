from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.adversarial import (
    AdversarialModule,
    Batch,
    CriticSteps,
    OptimizerFactory,
    Player,
    Schedule,
    no_schedule,
)
from ganforge.models.averaging import ExponentialMovingAverage
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise


class GAN(AdversarialModule):
    """The game of Goodfellow et al. 2014 (arXiv:1406.2661):  min_G max_D V(D, G).

    The generator maps latents z ~ N(0, I) to images; the discriminator tells them from real ones.

    Args:
        generator: maps latents [B, latent_dim] to images [B, C, H, W] in [-1, 1]; has an attribute
            ``latent_dim``.
        discriminator: maps images to raw logits [B].
        loss: what each player minimises.
        generator_optimizer: makes the generator's optimizer from its parameters.
        discriminator_optimizer: makes the discriminator's optimizer from its parameters.
        regularizers: penalties and constraints by name.
        augment: differentiable change of reals and fakes before they are judged.
        generator_schedule: factor of the generator's learning rate at each step.
        discriminator_schedule: factor of the discriminator's learning rate at each step.
        average: moving average of the generator; None evaluates the live weights.
        critic_steps: discriminator updates for each generator update; or a function that gives
            them for the number of steps finished.
        accumulate: parts a batch is worked through in, to save memory.
        clip_norm: largest norm of a player's gradient.
        seed: of every random stream in training.
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
        seed: int = 0,
    ) -> None:
        super().__init__(
            generator=generator,
            discriminator=discriminator,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            generator_schedule=generator_schedule,
            discriminator_schedule=discriminator_schedule,
            average=average,
            critic_steps=critic_steps,
            accumulate=accumulate,
            clip_norm=clip_norm,
            seed=seed,
        )
        self.loss = loss
        self.augment = augment if augment is not None else Augmentation()
        self.regularizers = nn.ModuleDict(
            {name: term for name, term in (regularizers or {}).items() if term is not None}
        )
        for regularizer in self._regularizers().values():
            regularizer.check(getattr(self, regularizer.player))
        self.check()

    def check(self) -> None:
        """Raises ConfigError when the parts do not make this paper's game."""

    # ------------------------------------------------------------------ the algorithm

    def play(self, reals: list[Batch]) -> None:
        """One iteration of Algorithm 1: k steps of the discriminator, then one of the generator."""
        for real in reals:
            self.update("discriminator", self.discriminator_loss, real)
            self.constrain("discriminator")
        self.update("generator", self.generator_loss, reals[-1])
        self.constrain("generator")

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns what D minimises on reals and as many fakes, penalties included."""
        with torch.no_grad():
            fake = self.generate(self.generator, noise)
        real, fake = self.augment(batch["image"], noise), self.augment(fake, noise)
        real_logits, fake_logits = self.critic(real), self.critic(fake)
        self.observe_logits(real_logits, fake_logits)
        loss = self.loss.discriminator(real_logits, fake_logits, noise)
        return loss + self.penalties("discriminator", real, fake, noise)

    def generator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns what G minimises on fresh fakes."""
        fake = self.generate(self.generator, noise)
        fake_logits = self.critic(self.augment(fake, noise))
        real_logits = None
        if self.loss.paired:
            real_logits = self.critic(self.augment(batch["image"], noise))
        loss = self.loss.generator(fake_logits, real_logits)
        return loss + self.penalties("generator", batch["image"], fake, noise)

    # ------------------------------------------------------------------ how images are made, judged

    def generate(self, generator: nn.Module, noise: Noise) -> Tensor:
        """Returns G(z) for z ~ N(0, I): [rows, C, H, W] in [-1, 1]."""
        return cast(Tensor, generator(noise.normal(cast(int, self.generator.latent_dim))))

    def critic(self, images: Tensor) -> Tensor:
        """Returns the raw logits [B] of images [B, C, H, W]."""
        # Losses are computed in float32: differences of half-precision logits lose most digits.
        return cast(Tensor, self.discriminator(images).float())

    def penalties(self, player: Player, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Returns the weighted sum of the penalties due at this update, in float32.

        Images are those that the discriminator is shown, augmented ones that is.
        Outside autocast: in half precision the gradients of a penalty underflow. A lazy penalty is
        scaled by its interval, which keeps its mean strength.
        """
        total = torch.zeros((), device=real.device)
        with torch.autocast(real.device.type, enabled=False):
            for name, term in self._regularizers().items():
                if term.player != player or not term.due(self._updates[player]):
                    continue
                penalty = term.penalty(self.critic, real.float(), fake.float(), noise)
                if penalty is not None:
                    observe = self.observe if term.every == 1 else self.observe_rarely
                    observe(f"{player}/{name}", penalty)
                    total = total + term.weight * term.every * penalty
        return total

    def constrain(self, player: Player) -> None:
        """Applies the constraints on a player's weights, after its update."""
        for term in self._regularizers().values():
            if term.player == player:
                term.constrain(getattr(self, player))

    def observe_logits(self, real: Tensor, fake: Tensor) -> None:
        """Logs the mean logits and the shares of reals and fakes that D gets right."""
        if not self.observing:
            return
        real, fake = real.detach().float(), fake.detach().float()
        boundary = self.loss.boundary
        # Where logits have no origin, an image is right when it beats the other side's mean.
        for_real = fake.mean() if boundary is None else boundary
        for_fake = real.mean() if boundary is None else boundary
        self.observe("discriminator/real_logit", real.mean())
        self.observe("discriminator/fake_logit", fake.mean())
        self.observe("discriminator/real_accuracy", (real > for_real).float().mean())
        self.observe("discriminator/fake_accuracy", (fake < for_fake).float().mean())

    def _regularizers(self) -> dict[str, Regularizer]:
        return cast(dict[str, Regularizer], dict(self.regularizers.items()))


def refuse(model: str, reason: str, remedy: str) -> ConfigError:
    """Returns the error of a model whose parts contradict its paper."""
    return ConfigError(f"{model}: {reason}. Way out: {remedy}")
