from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack, cast

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.critic import Critic, labelled
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.checks import check_joint, check_networks, check_regularizers
from ganforge.models.engine.update import Batch, Update
from ganforge.models.parts import AdversarialParts
from ganforge.regularizers.context import GeneratorInputs, UpdateContext
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise


class GAN(AdversarialModule):
    """Generative adversarial network (Goodfellow et al. 2014, arXiv:1406.2661).

    min_G max_D V(D, G): the generator maps latents z ~ N(0, I), [B, latent_dim], to images
    [B, C, H, W] in [-1, 1]; it has an attribute ``latent_dim``. The discriminator maps images to
    raw logits [B].

    Attributes:
        auxiliary: whether the discriminator returns other outputs (class, codes) with the logit.
        separate: whether lazy regularizers get updates of their own.

    Args:
        loss: adversarial loss of both players.
        regularizers: penalties and constraints by name.
        augment: differentiable augmentation of reals and fakes before the discriminator.
        num_classes: number of classes that both players are conditioned on; 0 for none.
        packing: images that the discriminator gets as one input (PacGAN, arXiv:1712.04086); its
            network must be built for the same number.
        joint: whether the discriminator judges reals and fakes in one pass in its update. The
            result is the same up to rounding, with half as many operations and more memory.
        **parts: see AdversarialModule.
    """

    auxiliary: bool = False
    separate: bool = False
    _kept_critic: tuple[tuple[Any, ...], Critic] | None = None

    def __init__(
        self,
        *,
        loss: AdversarialLoss,
        regularizers: dict[str, Regularizer] | None = None,
        augment: Augmentation | None = None,
        num_classes: int = 0,
        packing: int = 1,
        joint: bool = False,
        **parts: Unpack[AdversarialParts],
    ) -> None:
        super().__init__(**parts)
        self.loss = loss
        self.num_classes = num_classes
        self.packing = packing
        self.joint = joint
        self.augment = augment if augment is not None else Augmentation()
        self.regularizers = nn.ModuleDict(
            {name: term for name, term in (regularizers or {}).items() if term is not None}
        )
        check_regularizers(self.critic.regularizers, self.generator, self.discriminator)
        check_networks(self.generator, self.discriminator, num_classes, packing)
        if joint:
            check_joint(self.discriminator)
        self.check()

    # ------------------------------------------------------------------ the algorithm

    def play(self, reals: list[Batch]) -> None:
        """Runs one iteration of Algorithm 1: k discriminator updates, then a generator update."""
        for real in reals:
            self.step("discriminator", self.discriminator_loss, real)
        self.step("generator", self.generator_loss, reals[-1])
        self.adjust(reals)

    def discriminator_loss(self, update: Update) -> Tensor:
        """Returns the loss of D on reals and as many fakes, penalties included."""
        inputs = self.inputs(update)
        with torch.no_grad():
            fake = inputs.generate(inputs.latents)
        images = (update.batch["image"], fake)
        loss, context = self.critic.discriminator_loss(update, inputs, images)
        return loss + self.penalties(update, context)

    def generator_loss(self, update: Update) -> Tensor:
        """Returns the loss of G on newly generated fakes, penalties included."""
        inputs = self.inputs(update)
        images = (update.batch["image"], inputs.generate(inputs.latents))
        loss, context = self.critic.generator_loss(update, inputs, images)
        return loss + self.penalties(update, context)

    def penalties(self, update: Update, context: UpdateContext) -> Tensor:
        """Returns the weighted sum of the regularizers due at this update, in float32."""
        return self.critic.penalties(update, context)

    @property
    def critic(self) -> Critic:
        """The discriminator with its loss, regularizers and augmentation."""
        options = (self.packing, self.auxiliary, self.separate, self.joint)
        parts = (*self._modules.values(), self.loss, *options)
        # Kept while its parts are the same objects: a step asks for it seven times.
        if self._kept_critic is None or self._kept_critic[0] != parts:
            self._kept_critic = parts, self._new_critic()
        return self._kept_critic[1]

    def _new_critic(self) -> Critic:
        return Critic(
            self.generator,
            self.discriminator,
            self.loss,
            cast(Mapping[str, Regularizer], self.regularizers),
            self.augment,
            packing=self.packing,
            auxiliary=self.auxiliary,
            separate=self.separate,
            joint=self.joint,
        )

    def critics(self) -> dict[str, Critic]:
        """Returns the critic, of the only domain of images."""
        return {"image": self.critic}

    # ------------------------------------------------------------------ images

    def inputs(self, update: Update) -> GeneratorInputs:
        """Draws what the generated images of an update are made from."""
        labels = self.labels(update.batch, update.noise)
        z = self.latents(update.noise)
        return GeneratorInputs(z, labels, lambda z, labels=labels: self.images(update, z, labels))

    def labels(self, batch: Batch, noise: Noise) -> Tensor | None:
        """Returns the classes of this update's images, int64 [B]; None without classes.

        Fakes get the classes of the reals. Classes are then as frequent as in the data, and the
        real and the fake of a pair have the same class.
        """
        return batch["label"] if self.num_classes > 0 else None

    def latents(self, noise: Noise) -> Tensor:
        """Returns z ~ N(0, I), [rows, latent_dim]."""
        return noise.normal(cast(int, self.generator.latent_dim))

    def images(self, update: Update, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns an update's G(z), or G(z, y) if labels are given: [B, C, H, W] in [-1, 1]."""
        return labelled(self.generator, z, labels)

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Returns G(z) for z ~ N(0, I): [rows, C, H, W] in [-1, 1]."""
        return labelled(generator, self.latents(noise), labels)
