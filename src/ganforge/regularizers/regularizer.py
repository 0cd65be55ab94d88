from __future__ import annotations

import contextlib
from collections.abc import Hashable, Mapping

import torch
from torch import Tensor, nn

from ganforge.errors import require
from ganforge.regularizers.context import Critic, UpdateContext
from ganforge.streams import Noise

PRECISIONS = ("float32", "autocast")


class Regularizer(nn.Module):
    """A term added to a player's loss, or a constraint applied to its weights after each update.

    Override :meth:`penalty` for a function of the critic at real and fake images; override
    :meth:`term` for a term that needs more of the context.

    Args:
        weight: factor of the penalty.
        every: the penalty is applied at every n-th update of its player and scaled by n, which
            keeps its mean strength (lazy regularization, Karras et al. 2020, arXiv:1912.04958).
        precision: "float32", or "autocast" for that of ``trainer.precision``, which halves the
            memory of a penalty. The gradients in a penalty are not scaled as the loss is; so in
            float16, small ones underflow.

    Attributes:
        player: the network to regularize, "discriminator" or "generator".
        of_latents: whether the term depends on the latents of the generated images.
        second_order: whether the term contains a gradient, so that its own gradient needs second
            derivatives of the network, which compiled networks do not have. Terms without one set
            it to False and run compiled.
        conflicts: regularizers that cannot be combined with this one, each with a message.
    """

    player: str = "discriminator"
    conflicts: Mapping[type[Regularizer], str] = {}
    of_latents: bool = False
    second_order: bool = True

    def __init__(self, weight: float = 1.0, every: int = 1, precision: str = PRECISIONS[0]) -> None:
        super().__init__()
        name = type(self).__name__
        require(weight >= 0, f"{name}: weight must be at least 0, got {weight}")
        require(every >= 1, f"{name}: every must be at least 1, got {every}")
        choices = f"{name}: precision must be one of {', '.join(PRECISIONS)}; got {precision!r}"
        require(precision in PRECISIONS, choices)
        self.weight = weight
        self.every = every
        self.precision = precision

    def autocast(self, device_type: str) -> contextlib.AbstractContextManager[object]:
        """Returns the context for the term: without autocast, or as it is for the losses."""
        if self.precision == "autocast":
            return contextlib.nullcontext()
        return torch.autocast(device_type, enabled=False)

    def term(self, context: UpdateContext) -> Tensor | None:
        """Returns the unweighted term of this update, a scalar; None if there is none.

        Called in the context :meth:`autocast`, by default in float32.
        """
        return self.penalty(context.critic, context.real, context.fake, context.noise)

    def kept(self, fake_logits: Tensor, images_seen: int) -> Tensor | None:
        """Returns the indices of the images used in the generator's loss; None for all of them.

        Args:
            fake_logits: [B] raw logits.
            images_seen: real images that the discriminator has seen before this step.
        """
        return None

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor | None:
        """Returns the unweighted penalty, a scalar; None if there is none.

        Called in the context :meth:`autocast`, by default in float32.

        Args:
            critic: maps images [B, C, H, W] to raw logits [B].
            real: [B, C, H, W] in [-1, 1].
            fake: [B, C, H, W] in [-1, 1], detached from the generator.
            noise: random draws of this update.
        """
        return None

    def weight_at(self, images_seen: int) -> float:
        """Returns the factor of the penalty after ``images_seen`` real images; ``weight`` here."""
        return self.weight

    def factor_at(self, images_seen: int) -> float:
        """Returns the weight times the interval: the factor of the penalty when it is due."""
        return self.weight_at(images_seen) * self.every

    def phase(self, images_seen: int) -> Hashable:
        """Returns what the operations of :meth:`term` and :meth:`kept` depend on.

        An update whose operations were recorded as a CUDA graph is replayed while this value stays
        the same. The weight is an input of the graph; here, nothing else changes.
        """
        return None

    def settle(self) -> None:
        """Takes over what the terms of an update have measured, before the optimizer's step.

        A state that lasts must be in buffers that are changed in place; here there is none.
        """

    def discard(self) -> None:
        """Drops what terms have measured in an update that did not finish."""

    def constrain(self, player: nn.Module) -> None:
        """Changes the weights of ``player`` in place, after its optimizer's step; here, nothing."""

    def check(self, player: nn.Module) -> None:
        """Raises ConfigError if ``player`` cannot be regularized in this way."""

    def due(self, update: int) -> bool:
        """Whether the penalty is applied at the player's ``update``, counted from 0."""
        return update % self.every == 0
