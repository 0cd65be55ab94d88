"""Regularizers and augmentations in a player's update."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.types import Batch, Objective, Player
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer

Terms = Mapping[str, Regularizer]
Observe = Callable[[str, Tensor, bool], None]  # name, value, whether it is from a lazy regularizer


def selected(
    terms: Terms, images_seen: int, logits: Tensor, fake: Tensor, real: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Returns the fake and real logits that are used in the generator's loss, [N] each.

    Args:
        terms: regularizers by name; each selects from the images that the previous ones kept.
        images_seen: real images that the discriminator has seen before this step.
        logits: one raw logit per fake, [B].
        fake: logits of fakes, [B, ...].
        real: logits of reals, [B, ...], or None.
    """
    for term in terms.values():
        rows = term.kept(logits, images_seen)
        if rows is not None:
            logits, fake = logits[rows], fake[rows]
            real = None if real is None else real[rows]
    return fake.flatten(), None if real is None else real.flatten()


def penalties(
    terms: Terms,
    player: str,
    update: int,
    context: UpdateContext,
    observe: Observe,
    prefix: str = "",
) -> Tensor:
    """Returns the weighted sum of the regularizers due at a player's ``update``, in float32.

    Autocast is disabled, because gradients of penalties underflow in half precision. A lazy
    regularizer is scaled by its interval, which preserves its mean strength.
    """
    total = torch.zeros((), device=context.fake.device)
    with torch.autocast(context.fake.device.type, enabled=False):
        for name, term in terms.items():
            if term.player != player or not term.due(update):
                continue
            penalty = term.term(context)
            if penalty is not None:
                observe(f"{player}/{prefix}{name}", penalty, term.every > 1)
                total = total + term.weight_at(context.images_seen) * term.every * penalty
    return total


def constrain(terms: Terms, player: str, network: nn.Module) -> None:
    """Applies the constraints on a player's weights after its update."""
    for term in terms.values():
        if term.player == player:
            term.constrain(network)


class RegularizedModule(AdversarialModule):
    """Base class of models with an adversarial loss, regularizers and augmentations.

    Attributes:
        loss: adversarial loss of both players.
    """

    loss: AdversarialLoss

    def check(self) -> None:
        """Raises ConfigError if the parts contradict the paper; overridden by subclasses."""

    def step(self, player: Player, objective: Objective, batch: Batch) -> None:
        """Updates a player and applies the constraints on its weights."""
        self.update(player, objective, batch)
        self.constrain(player)

    def constrain(self, player: Player) -> None:
        """Applies the constraints on a player's weights after its update."""
        raise NotImplementedError

    def observe_logits(self, real: Tensor, fake: Tensor, prefix: str = "") -> None:
        """Records the mean logits and the discriminator's accuracy on reals and on fakes."""
        if not self.observing:
            return
        real, fake = real.detach().float(), fake.detach().float()
        boundary = self.loss.boundary
        # Without a fixed boundary (Wasserstein, relativistic), logits are compared with the mean of
        # the other side.
        for_real = fake.mean() if boundary is None else boundary
        for_fake = real.mean() if boundary is None else boundary
        name = f"discriminator/{prefix}"
        self.observe(f"{name}real_logit", real.mean())
        self.observe(f"{name}fake_logit", fake.mean())
        self.observe(f"{name}real_accuracy", (real > for_real).float().mean())
        self.observe(f"{name}fake_accuracy", (fake < for_fake).float().mean())

    def adjust(self, augment: Augmentation, reals: list[Batch], prefix: str = "") -> None:
        """Adapts an augmentation to the logits of this step's reals, and records its state."""
        images = sum(len(real["image"]) for real in reals) * self._world
        augment.adjust(images, self.images_seen + images, self.reduce_mean)
        for name, value in augment.values().items():
            self.observe(f"augment/{prefix}{name}", value)
