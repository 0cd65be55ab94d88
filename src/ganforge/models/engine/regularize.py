"""Applies regularizers to a player: top-k selection, penalties and weight constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer

Terms = Mapping[str, Regularizer]
Observe = Callable[[str, Tensor, bool], None]  # name, value, whether it is from a lazy regularizer


def kept_rows(terms: Terms, fake_logits: Tensor, images_seen: int) -> Tensor | None:
    """Returns the indices of the images in the generator's loss, int64; None for all.

    Args:
        terms: regularizers by name; each selects from the images that the previous ones kept.
        fake_logits: [B] raw logits.
        images_seen: real images that the discriminator has seen before this step.
    """
    rows: Tensor | None = None
    for term in terms.values():
        chosen = term.kept(fake_logits if rows is None else fake_logits[rows], images_seen)
        if chosen is not None:
            rows = chosen if rows is None else rows[chosen]
    return rows


def penalties(
    terms: Terms, player: str, update: int, context: UpdateContext, observe: Observe
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
                observe(name, penalty, term.every > 1)
                total = total + term.weight_at(context.images_seen) * term.every * penalty
    return total


def constrain(terms: Terms, player: str, network: nn.Module) -> None:
    """Applies the constraints on a player's weights after its update."""
    for term in terms.values():
        if term.player == player:
            term.constrain(network)


def verdicts(loss: AdversarialLoss, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Returns the mean logits and the discriminator's accuracy on reals and on fakes."""
    real, fake = real.detach().float(), fake.detach().float()
    boundary = loss.boundary
    # Without a fixed boundary (Wasserstein, relativistic), logits are compared with the mean of the
    # other side.
    for_real = fake.mean() if boundary is None else boundary
    for_fake = real.mean() if boundary is None else boundary
    return {
        "real_logit": real.mean(),
        "fake_logit": fake.mean(),
        "real_accuracy": (real > for_real).float().mean(),
        "fake_accuracy": (fake < for_fake).float().mean(),
    }
