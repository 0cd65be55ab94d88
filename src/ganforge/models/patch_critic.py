from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.models.engine.regularize import (
    RegularizedModule,
    Terms,
    constrain,
    penalties,
    selected,
)
from ganforge.models.engine.types import Batch, Player
from ganforge.regularizers.context import UpdateContext
from ganforge.streams import Noise


class PatchCritic(RegularizedModule):
    """Base class of models with a patch discriminator per domain: one logit for each image patch.

    Adversarial losses use the logits of all patches. Regularizers and augmentations get one logit
    per image, the mean over its patches. Each discriminator has its own regularizers and
    augmentation, since these may have a state.

    Attributes:
        regularizers: for each domain, penalties and constraints by name.
        augment: for each domain, the differentiable augmentation before its discriminator.
        adversarial_weight: factor of the generators' adversarial losses.
        discriminator_weight: factor of the discriminators' losses; penalties have their own
            weights.
    """

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
        seen, real_patches = real, None
        if self.loss.paired:
            seen = self.augmented(domain, real, noise)
            real_patches = self.critic(domain, seen)
        kept = selected(terms, self.images_seen, _means(patches), patches, real_patches)
        adversarial = self.loss.generator(*kept)
        self.observe(f"generator/{self._prefix(domain)}adversarial", adversarial)
        logits = (None if real_patches is None else _means(real_patches), _means(patches))
        context = self._context(domain, (real, fake), (seen, augmented), logits, batch, noise)
        return self.adversarial_weight * adversarial + self._penalties("generator", domain, context)

    def adversarial_discriminator_loss(
        self, domain: str, real: Tensor, fake: Tensor, batch: Batch, noise: Noise
    ) -> Tensor:
        """Returns the loss of one domain's discriminator, penalties included.

        The fakes are detached. Arguments as in :meth:`adversarial_generator_loss`.
        """
        augmented = (self.augmented(domain, real, noise), self.augmented(domain, fake, noise))
        patches = (self.critic(domain, augmented[0]), self.critic(domain, augmented[1]))
        logits = (_means(patches[0]), _means(patches[1]))
        cast(Augmentation, self.augment[domain]).observe(logits[0].detach())
        self.observe_logits(*patches, self._prefix(domain))
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
        update, prefix = self._updates[player], self._prefix(domain)
        return penalties(self._terms(domain), player, update, context, self.observe, prefix)

    def _context(
        self,
        domain: str,
        images: tuple[Tensor, Tensor],
        augmented: tuple[Tensor, Tensor],
        logits: tuple[Tensor | None, Tensor],
        batch: Batch,
        noise: Noise,
    ) -> UpdateContext:
        discriminator = self.discriminators()[domain]
        return UpdateContext(
            critic=lambda inputs: _means(self.critic(domain, inputs)),
            features=cast(Callable[[Tensor], Tensor], getattr(discriminator, "features", None)),
            generate=_generate_nothing,
            augment=lambda images: self.augmented(domain, images, noise),
            generator=self.generators()[domain],
            discriminator=discriminator,
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
    raise NotImplementedError("image-to-image models have no latents")
