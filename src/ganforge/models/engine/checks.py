from __future__ import annotations

import itertools

from torch import nn

from ganforge.errors import ConfigError
from ganforge.regularizers.regularizer import Regularizer


def check_regularizers(
    terms: dict[str, Regularizer], generator: nn.Module, discriminator: nn.Module
) -> None:
    """Raises ConfigError if a regularizer does not fit its player or excludes another one."""
    players = {"generator": generator, "discriminator": discriminator}
    for term in terms.values():
        term.check(players[term.player])
    for (name, term), (beside, other) in itertools.permutations(terms.items(), 2):
        for kind, reason in term.conflicts.items():
            if isinstance(other, kind):
                raise ConfigError(f"regularizer: {name} and {beside} exclude each other: {reason}")


def check_networks(
    generator: nn.Module, discriminator: nn.Module, num_classes: int, packing: int
) -> None:
    """Raises ConfigError if a network's number of classes or packing differs from the model's."""
    if packing < 1:
        raise ConfigError(f"model.packing must be at least 1, got {packing}")
    if packing > 1 and num_classes > 0:
        raise ConfigError("model.packing: a pack has one logit and no single label. Take 1")
    built = getattr(discriminator, "packing", 1)
    if built != packing:
        raise ConfigError(f"model.packing is {packing}, and the discriminator is built for {built}")
    for player, network in (("generator", generator), ("discriminator", discriminator)):
        classes = getattr(network, "num_classes", 0)
        if classes != num_classes:
            raise ConfigError(
                f"the {player} is built for {classes} classes, and the game has {num_classes}"
            )
