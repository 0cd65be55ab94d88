from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.engine.adversarial import AdversarialModule, Player
from ganforge.models.engine.batches import Batch
from ganforge.models.engine.regularize import Terms, constrain, kept_rows, penalties, verdicts
from ganforge.regularizers.context import UpdateContext
from ganforge.streams import Noise


class PatchCritic(AdversarialModule):
    """Base class of models with a patch discriminator per domain: one logit for each image patch.

    Adversarial losses use the logits of all patches. Regularizers and augmentations get one logit
    per image, the mean over its patches. Each discriminator has its own regularizers and
    augmentation, since these may have a state.

    Attributes:
        loss: adversarial loss of both players.
        regularizers: for each domain, penalties and constraints by name.
        augment: for each domain, the differentiable augmentation before its discriminator.
        adversarial_weight: factor of the generators' adversarial losses.
        discriminator_weight: factor of the discriminators' losses; penalties have their own
            weights.
    """

    loss: AdversarialLoss
    regularizers: nn.ModuleDict
    augment: nn.ModuleDict
    adversarial_weight: float
    discriminator_weight: float

    def discriminators(self) -> dict[str, nn.Module]:
        """Returns the discriminator of each domain in which images are generated."""
        raise NotImplementedError

    def generators(self) -> dict[str, nn.Module]:
        """Returns the generator of each domain of :meth:`discriminators`."""
        raise NotImplementedError

    def halves(self, domain: str) -> list[int]:
        """Returns the channels of each image that a discriminator's input is concatenated from."""
        raise NotImplementedError

    def adversarial_generator_loss(
        self, domain: str, real: Tensor, fake: Tensor, batch: Batch, noise: Noise
    ) -> Tensor:
        """Returns a generator's adversarial loss in one domain, penalties included.

        Args:
            domain: a key of :meth:`discriminators`.
            real: inputs [B, C, H, W] of the discriminator, before augmentation.
            fake: the same for generated images.
            batch: the batch of this update.
            noise: random draws of this update.
        """
        terms = self._terms(domain)
        augmented = self.augmented(domain, fake, noise)
        patches = self.critic(domain, augmented)
        shown, real_patches = real, None
        if self.loss.paired:
            shown = self.augmented(domain, real, noise)
            real_patches = self.critic(domain, shown)
        rows = kept_rows(terms, _means(patches), self.images_seen)
        fakes, reals = patches, real_patches
        if rows is not None:
            fakes, reals = patches[rows], None if real_patches is None else real_patches[rows]
        kept = None if reals is None else reals.flatten()
        adversarial = self.loss.generator(fakes.flatten(), kept)
        self.observe(f"generator/{self._prefix(domain)}adversarial", adversarial)
        logits = (None if real_patches is None else _means(real_patches), _means(patches))
        context = self._context(domain, (real, fake), (shown, augmented), logits, batch, noise)
        return self.adversarial_weight * adversarial + self._penalties("generator", domain, context)

    def adversarial_discriminator_loss(
        self, domain: str, real: Tensor, fake: Tensor, batch: Batch, noise: Noise
    ) -> Tensor:
        """Returns the loss of one domain's discriminator, penalties included.

        Args:
            domain: a key of :meth:`discriminators`.
            real: inputs [B, C, H, W] of the discriminator, before augmentation.
            fake: the same for generated images, detached.
            batch: the batch of this update.
            noise: random draws of this update.
        """
        augmented = (self.augmented(domain, real, noise), self.augmented(domain, fake, noise))
        patches = (self.critic(domain, augmented[0]), self.critic(domain, augmented[1]))
        logits = (_means(patches[0]), _means(patches[1]))
        cast(Augmentation, self.augment[domain]).observe(logits[0].detach())
        if self.observing:
            for name, value in verdicts(self.loss, patches[0], patches[1]).items():
                self.observe(f"discriminator/{self._prefix(domain)}{name}", value)
        loss = self.loss.discriminator(patches[0].flatten(), patches[1].flatten(), noise)
        context = self._context(domain, (real, fake), augmented, logits, batch, noise)
        return self.discriminator_weight * loss + self._penalties("discriminator", domain, context)

    def augmented(self, domain: str, images: Tensor, noise: Noise) -> Tensor:
        """Returns augmented images [B, C, H, W], as the discriminator receives them.

        Concatenated images are augmented separately with the same draws: input and target stay
        aligned, and color transforms do not mix their channels.
        """
        augment = cast(Augmentation, self.augment[domain])
        if type(augment) is Augmentation:
            return images
        draws = noise.fork()
        halves = torch.split(images, self.halves(domain), 1)
        return torch.cat([augment(half, draws.restarted()) for half in halves], 1)

    def critic(self, domain: str, images: Tensor) -> Tensor:
        """Returns the raw logits of all patches, [B, 1, h, w] in float32."""
        return cast(Tensor, self.discriminators()[domain](images)).float()

    def constrain(self, player: Player) -> None:
        """Applies the constraints on a player's weights after its update."""
        networks = self.generators() if player == "generator" else self.discriminators()
        for domain, network in networks.items():
            constrain(self._terms(domain), player, network)

    # ------------------------------------------------------------------ internals

    def _terms(self, domain: str) -> Terms:
        return cast(Terms, dict(cast(nn.ModuleDict, self.regularizers[domain]).items()))

    def _prefix(self, domain: str) -> str:
        return f"{domain}_" if len(self.discriminators()) > 1 else ""

    def _penalties(self, player: Player, domain: str, context: UpdateContext) -> Tensor:
        def observe(name: str, value: Tensor, rarely: bool) -> None:
            keep = self.observe_rarely if rarely else self.observe
            keep(f"{player}/{self._prefix(domain)}{name}", value)

        return penalties(self._terms(domain), player, self._updates[player], context, observe)

    def _adjust_augmentation(self, reals: list[Batch]) -> None:
        images = sum(len(real["image"]) for real in reals) * self._world
        for domain, augment in self.augment.items():
            augment = cast(Augmentation, augment)
            augment.adjust(images, self.images_seen + images, self._mean)
            for name, value in augment.values().items():
                self.observe(f"augment/{self._prefix(domain)}{name}", value)

    def _mean(self, value: Tensor) -> Tensor:
        return cast(Tensor, self.trainer.strategy.reduce(value, reduce_op="mean"))

    def _context(
        self,
        domain: str,
        images: tuple[Tensor, Tensor],
        augmented: tuple[Tensor, Tensor],
        logits: tuple[Tensor | None, Tensor],
        batch: Batch,
        noise: Noise,
    ) -> UpdateContext:
        judge = self.discriminators()[domain]
        return UpdateContext(
            critic=lambda shown: _means(self.critic(domain, shown)),
            features=cast(Callable[[Tensor], Tensor], getattr(judge, "features", None)),
            generate=_generate_nothing,
            augment=lambda shown: self.augmented(domain, shown, noise),
            generator=self.generators()[domain],
            discriminator=judge,
            real=augmented[0].float(),
            fake=augmented[1].float(),
            real_images=images[0].float(),
            fake_images=images[1].float(),
            latents=batch["input"],
            labels=None,
            real_logits=logits[0],
            fake_logits=logits[1],
            noise=noise,
            images_seen=self.images_seen,
        )


def _means(patches: Tensor) -> Tensor:
    """Returns one logit per image, [B]: the mean over its patches [B, 1, h, w]."""
    return patches.flatten(1).mean(1)


def _generate_nothing(latents: Tensor, labels: Tensor | None = None) -> Tensor:
    raise NotImplementedError("terms about latents are refused in games from image to image")
