from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.engine.update import Player, Update
from ganforge.regularizers.context import GeneratorInputs, UpdateContext
from ganforge.regularizers.regularizer import Regularizer

Pair = tuple[Tensor, Tensor]  # real, fake
MaybePair = tuple[Tensor | None, Tensor]


@dataclass(frozen=True)
class Critic:
    """A discriminator with its adversarial loss, regularizers and augmentation.

    A patch discriminator returns one logit for each image patch, [B, 1, h, w]. The adversarial loss
    uses the logits of all patches; regularizers and augmentations get one logit per image, the mean
    over its patches.

    Attributes:
        generator: the generator that is trained against the discriminator.
        discriminator: maps images [B, C, H, W], and labels if there are any, to raw logits.
        loss: adversarial loss of both players.
        regularizers: penalties and constraints by name.
        augment: differentiable augmentation of reals and fakes before the discriminator.
        packing: images that the discriminator gets as one input.
        channels: channels of each image that an input is concatenated from. They are augmented
            separately with the same draws: input and target stay aligned, and color transforms do
            not mix their channels. Empty for inputs that are one image.
        auxiliary: whether the discriminator returns other outputs besides the logit.
        separate: whether lazy regularizers get updates of their own.
        joint: whether the discriminator judges reals and fakes in one pass in its update.
        prefix: start of the names of logged values.
    """

    generator: nn.Module
    discriminator: nn.Module
    loss: AdversarialLoss
    regularizers: Mapping[str, Regularizer]
    augment: Augmentation
    packing: int = 1
    channels: tuple[int, ...] = ()
    auxiliary: bool = False
    separate: bool = False
    joint: bool = False
    prefix: str = ""

    # ------------------------------------------------------------------ losses

    def discriminator_loss(
        self, update: Update, inputs: GeneratorInputs, images: Pair
    ) -> tuple[Tensor, UpdateContext]:
        """Returns the discriminator's adversarial loss, and the context for the penalties.

        Args:
            update: the update of the discriminator.
            inputs: what the generated images were made from.
            images: real and generated images [B, C, H, W], the latter detached.
        """
        real, fake = (self.augmented(one, update) for one in images)
        judge = self.judge_jointly if self.joint else self.judge_separately
        (real_logits, fake_logits), auxiliary = judge((real, fake), inputs.labels)
        self.augment.observe(per_image(real_logits).detach())
        self._observe_logits(update, real_logits, fake_logits)
        loss = self.loss.discriminator(real_logits.flatten(), fake_logits.flatten(), update.noise)
        logits = (per_image(real_logits), per_image(fake_logits))
        return loss, self.context(update, inputs, images, (real, fake), logits, auxiliary)

    def generator_loss(
        self, update: Update, inputs: GeneratorInputs, images: Pair
    ) -> tuple[Tensor, UpdateContext]:
        """Returns the generator's adversarial loss, and the context for the penalties.

        Arguments as in :meth:`discriminator_loss`.
        """
        fake, real = self.augmented(images[1], update), images[0]
        fake_logits, fake_auxiliary = self.judge(fake, inputs.labels)
        real_logits = real_auxiliary = None
        if self.loss.paired:
            real = self.augmented(real, update)
            real_logits, real_auxiliary = self.judge(real, inputs.labels)
        loss = self.loss.generator(*self._selected(update.images_seen, fake_logits, real_logits))
        at_real = None if real_logits is None else per_image(real_logits)
        logits, auxiliary = (at_real, per_image(fake_logits)), (real_auxiliary, fake_auxiliary)
        return loss, self.context(update, inputs, images, (real, fake), logits, auxiliary)

    def penalties(self, update: Update, context: UpdateContext) -> Tensor:
        """Returns the weighted sum of the regularizers due at an update, a float32 scalar.

        By default they are computed without autocast, because gradients of penalties underflow in
        half precision. A lazy regularizer is scaled by its interval, which preserves its mean
        strength.
        """
        total = torch.zeros((), device=update.noise.device)
        for name, term in self.due(update).items():
            with term.autocast(total.device.type):
                penalty = term.term(context)
            if penalty is not None:
                update.observe(f"{update.player}/{self.prefix}{name}", penalty, term.every > 1)
                total = total + update.scheduled(term.factor_at) * penalty
        return total

    def settle(self, player: Player) -> None:
        """Ends an update of a player: its regularizers take over what they have measured in it."""
        for term in self.regularizers.values():
            if term.player == player:
                term.settle()

    def discard(self) -> None:
        """Drops what regularizers have measured in an update that did not finish."""
        for term in self.regularizers.values():
            term.discard()

    def exchanges(self, update: Update) -> bool:
        """Whether regularizers due at an update exchange what they measure between processes."""
        return any(
            type(term).settle is not Regularizer.settle for term in self.due(update).values()
        )

    def foreseeable(self) -> bool:
        """Whether :meth:`phase` covers all that may change the operations of an update."""
        silent = type(self.augment).phase is Augmentation.phase
        if silent and type(self.augment).adjust is not Augmentation.adjust:
            return False
        kinds = [type(term) for term in self.regularizers.values()]
        selecting = [kind for kind in kinds if kind.kept is not Regularizer.kept]
        return all(kind.phase is not Regularizer.phase for kind in selecting)

    def phase(self, update: Update) -> Hashable:
        """Returns what decides on the operations of an update, besides shapes."""
        due, seen = self.due(update), update.images_seen
        acting = (term for term in self.regularizers.values() if term.player == update.player)
        return (*due, *(term.phase(seen) for term in acting), self.augment.phase())

    def due(self, update: Update) -> dict[str, Regularizer]:
        """Returns the regularizers that contribute to an update, by name."""
        return {
            name: term
            for name, term in self.regularizers.items()
            if term.player == update.player
            and (not self.separate or (term.every > 1) == update.lazy)
            and term.due(update.number)
        }

    def lazy(self, player: Player) -> list[Regularizer]:
        """Returns a player's lazy regularizers."""
        return [t for t in self.regularizers.values() if t.player == player and t.every > 1]

    def constrain(self, player: Player) -> None:
        """Applies the constraints on a player's weights after its update."""
        network = self.generator if player == "generator" else self.discriminator
        for term in self.regularizers.values():
            if term.player == player:
                term.constrain(network)

    # ------------------------------------------------------------------ images and logits

    def augmented(self, images: Tensor, update: Update) -> Tensor:
        """Returns images as the discriminator receives them: augmented, then packed."""
        if not self.channels:
            return pack(self.augment(images, update.noise), self.packing)
        if type(self.augment) is Augmentation:
            return images
        draws = update.noise.fork()
        parts = torch.split(images, list(self.channels), 1)
        return torch.cat([self.augment(part, draws.restarted()) for part in parts], 1)

    def judge(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the raw logits, [B] or [B, 1, h, w], and the auxiliary outputs, if any."""
        # Losses are computed in float32: differences of half-precision logits lose most digits.
        if not self.auxiliary:
            return labelled(self.discriminator, images, labels).float(), None
        discriminator = cast(Any, self.discriminator)
        logits, auxiliary = discriminator.logits_and_auxiliary(images, labels)
        return logits.float(), auxiliary.float()

    def judge_separately(
        self, images: Pair, labels: Tensor | None
    ) -> tuple[Pair, tuple[Tensor | None, Tensor | None]]:
        """Returns the logits of reals and fakes, and their auxiliary outputs."""
        (real, at_real), (fake, at_fake) = (self.judge(one, labels) for one in images)
        return (real, fake), (at_real, at_fake)

    def judge_jointly(
        self, images: Pair, labels: Tensor | None
    ) -> tuple[Pair, tuple[Tensor | None, Tensor | None]]:
        """Returns the same in one pass of the discriminator, with half as many operations."""
        both = None if labels is None else torch.cat([labels, labels])
        logits, auxiliary = self.judge(torch.cat(images), both)
        real, fake = logits.chunk(2)
        if auxiliary is None:
            return (real, fake), (None, None)
        at_real, at_fake = auxiliary.chunk(2)
        return (real, fake), (at_real, at_fake)

    def context(
        self,
        update: Update,
        inputs: GeneratorInputs,
        images: Pair,
        seen: Pair,
        logits: MaybePair,
        auxiliary: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> UpdateContext:
        """Returns the context that regularizers get in an update; pairs are (real, fake)."""
        labels, discriminator = inputs.labels, self.discriminator
        return UpdateContext(
            **vars(inputs),
            critic=lambda images: per_image(self.judge(images, labels)[0]),
            features=lambda images: labelled(cast(Any, discriminator).features, images, labels),
            augment=lambda images: self.augmented(images, update),
            generator=self.generator,
            discriminator=discriminator,
            real=seen[0].float(),
            fake=seen[1].float(),
            real_images=images[0].float(),
            fake_images=images[1].float(),
            real_logits=logits[0],
            fake_logits=logits[1],
            noise=update.noise,
            images_seen=update.images_seen,
            auxiliary=auxiliary,
        )

    # ------------------------------------------------------------------ internals

    def _selected(
        self, images_seen: int, fake: Tensor, real: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the fake and real logits that are used in the generator's loss, [N] each.

        Each regularizer selects from the images that the previous ones kept.
        """
        logits = per_image(fake)
        for term in self.regularizers.values():
            rows = term.kept(logits, images_seen)
            if rows is not None:
                logits, fake = logits[rows], fake[rows]
                real = None if real is None else real[rows]
        return fake.flatten(), None if real is None else real.flatten()

    def _observe_logits(self, update: Update, real: Tensor, fake: Tensor) -> None:
        """Records the mean logits and the discriminator's accuracy on reals and on fakes."""
        if not update.observing:
            return
        real, fake = real.detach().float(), fake.detach().float()
        boundary = self.loss.boundary
        # Without a fixed boundary (Wasserstein, relativistic), logits are compared with the mean of
        # the other side.
        for_real = fake.mean() if boundary is None else boundary
        for_fake = real.mean() if boundary is None else boundary
        name = f"discriminator/{self.prefix}"
        update.observe(f"{name}real_logit", real.mean())
        update.observe(f"{name}fake_logit", fake.mean())
        update.observe(f"{name}real_accuracy", (real > for_real).float().mean())
        update.observe(f"{name}fake_accuracy", (fake < for_fake).float().mean())


def labelled(network: Any, inputs: Tensor, labels: Tensor | None) -> Tensor:
    """Returns a network's output for inputs, and for their labels if there are any."""
    return cast(Tensor, network(inputs) if labels is None else network(inputs, labels))


def per_image(logits: Tensor) -> Tensor:
    """Returns one logit per image, [B]: the mean over its patches, if there are patches."""
    return logits if logits.ndim == 1 else logits.flatten(1).mean(1)


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
