from __future__ import annotations

from typing import Any, Unpack, cast

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.engine.checks import check_networks, check_regularizers
from ganforge.models.engine.regularize import RegularizedModule, constrain, penalties, selected
from ganforge.models.engine.types import Batch, Player
from ganforge.models.parts import AdversarialParts
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise


class GAN(RegularizedModule):
    """Generative adversarial network (Goodfellow et al. 2014, arXiv:1406.2661).

    min_G max_D V(D, G): the generator maps latents z ~ N(0, I), [B, latent_dim], to images
    [B, C, H, W] in [-1, 1]; it has an attribute ``latent_dim``. The discriminator maps images to
    raw logits [B].

    Args:
        loss: adversarial loss of both players.
        regularizers: penalties and constraints by name.
        augment: differentiable augmentation of reals and fakes before the discriminator.
        num_classes: number of classes that both players are conditioned on; 0 for none.
        packing: images that the discriminator gets as one input (PacGAN, arXiv:1712.04086); its
            network must be built for the same number.
        **parts: see AdversarialModule.
    """

    def __init__(
        self,
        *,
        loss: AdversarialLoss,
        regularizers: dict[str, Regularizer] | None = None,
        augment: Augmentation | None = None,
        num_classes: int = 0,
        packing: int = 1,
        **parts: Unpack[AdversarialParts],
    ) -> None:
        super().__init__(**parts)
        self.loss = loss
        self.num_classes = num_classes
        self.packing = packing
        self.augment = augment if augment is not None else Augmentation()
        self.regularizers = nn.ModuleDict(
            {name: term for name, term in (regularizers or {}).items() if term is not None}
        )
        check_regularizers(self._regularizers(), self.generator, self.discriminator)
        check_networks(self.generator, self.discriminator, num_classes, packing)
        self.check()

    # ------------------------------------------------------------------ the algorithm

    def play(self, reals: list[Batch]) -> None:
        """Runs one iteration of Algorithm 1: k discriminator updates, then a generator update."""
        for real in reals:
            self.step("discriminator", self.discriminator_loss, real)
        self.step("generator", self.generator_loss, reals[-1])
        self.adjust(self.augment, reals)

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns the loss of D on reals and as many fakes, penalties included."""
        self.begin_update("discriminator", noise)
        labels = self.labels(batch, noise)
        z = self.latents(noise)
        with torch.no_grad():
            images = self.images(self.generator, z, labels)
        real, fake = self.augmented(batch["image"], noise), self.augmented(images, noise)
        real_logits, fake_logits = self.critic(real, labels), self.critic(fake, labels)
        self.augment.observe(real_logits.detach())
        self.observe_logits(real_logits, fake_logits)
        loss = self.loss.discriminator(real_logits, fake_logits, noise)
        logits = (real_logits, fake_logits)
        context = self.context((batch["image"], images), (real, fake), logits, z, labels, noise)
        return loss + self.penalties("discriminator", context)

    def generator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns the loss of G on newly generated fakes, penalties included."""
        self.begin_update("generator", noise)
        labels = self.labels(batch, noise)
        z = self.latents(noise)
        images = self.images(self.generator, z, labels)
        fake, real = self.augmented(images, noise), batch["image"]
        fake_logits = self.critic(fake, labels)
        real_logits = None
        if self.loss.paired:
            real = self.augmented(real, noise)
            real_logits = self.critic(real, labels)
        logits = (real_logits, fake_logits)
        kept = selected(
            self._regularizers(), self.images_seen, fake_logits, fake_logits, real_logits
        )
        loss = self.loss.generator(*kept)
        context = self.context((batch["image"], images), (real, fake), logits, z, labels, noise)
        return loss + self.penalties("generator", context)

    def begin_update(self, player: Player, noise: Noise) -> None:
        """Prepares a loss; overridden by models that keep draws or outputs during an update."""

    # ------------------------------------------------------------------ images and logits

    def labels(self, batch: Batch, noise: Noise) -> Tensor | None:
        """Returns the classes of this update's images, int64 [B]; None without classes.

        Fakes get the classes of the reals. Classes are then as frequent as in the data, and the
        real and the fake of a pair have the same class.
        """
        return batch["label"] if self.num_classes > 0 else None

    def latents(self, noise: Noise) -> Tensor:
        """Returns z ~ N(0, I), [rows, latent_dim]."""
        return noise.normal(cast(int, self.generator.latent_dim))

    def images(self, generator: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns G(z), or G(z, y) if labels are given: [B, C, H, W] in [-1, 1]."""
        return cast(Tensor, generator(z) if labels is None else generator(z, labels))

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Returns G(z) for z ~ N(0, I): [rows, C, H, W] in [-1, 1]."""
        return self.images(generator, self.latents(noise), labels)

    def augmented(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns images as the discriminator receives them: augmented, then packed."""
        return pack(self.augment(images, noise), self.packing)

    def critic(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the raw logits [B], float32, of augmented and packed images [B, C, H, W]."""
        # Losses are computed in float32: differences of half-precision logits lose most digits.
        inputs = (images,) if labels is None else (images, labels)
        return cast(Tensor, self.discriminator(*inputs)).float()

    def context(
        self,
        images: tuple[Tensor, Tensor],
        augmented: tuple[Tensor, Tensor],
        logits: tuple[Tensor | None, Tensor],
        z: Tensor,
        labels: Tensor | None,
        noise: Noise,
    ) -> UpdateContext:
        """Returns the context that regularizers get in an update; pairs are (real, fake)."""
        return UpdateContext(
            critic=lambda inputs: self.critic(inputs, labels),
            features=lambda inputs: cast(Any, self.discriminator).features(inputs, labels),
            generate=lambda latents, classes=labels: self.images(self.generator, latents, classes),
            augment=lambda images: self.augmented(images, noise),
            generator=self.generator,
            discriminator=self.discriminator,
            real=augmented[0].float(),
            fake=augmented[1].float(),
            real_images=images[0].float(),
            fake_images=images[1].float(),
            latents=z,
            labels=labels,
            real_logits=logits[0],
            fake_logits=logits[1],
            noise=noise,
            images_seen=self.images_seen,
        )

    def penalties(self, player: Player, context: UpdateContext) -> Tensor:
        """Returns the weighted sum of the regularizers due at this update, in float32."""
        terms = self._regularizers()
        return penalties(terms, player, self._updates[player], context, self.observe)

    def constrain(self, player: Player) -> None:
        """Applies the constraints on a player's weights after its update."""
        constrain(self._regularizers(), player, getattr(self, player))

    def _regularizers(self) -> dict[str, Regularizer]:
        return cast(dict[str, Regularizer], dict(self.regularizers.items()))


def pack(images: Tensor, packing: int) -> Tensor:
    """Returns [B / m, m C, H, W]: m consecutive images per row, concatenated on the channels."""
    if packing == 1:
        return images
    if len(images) % packing:
        raise ConfigError(
            f"model.packing={packing} does not divide a batch of {len(images)} images: set "
            "data.batch_size (for each process and part) to a multiple"
        )
    return images.reshape(-1, packing * images.shape[1], *images.shape[2:])
