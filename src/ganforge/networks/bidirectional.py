"""Players of bidirectional translation: two generators or two discriminators in one module."""

from __future__ import annotations

import math

from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.contract import contract_of


class TranslatorPair(nn.Module):
    """Two generators, one for each direction of a translation, as one player.

    Zhu et al. 2017, arXiv:1703.10593: G and F of the cycle.

    Args:
        forth: translates inputs to targets.
        back: translates targets to inputs.

    Attributes:
        multiple: height and width must be multiples of this for either network.
        stochastic: whether outputs of either network depend on more than the image, also in eval.
    """

    def __init__(self, forth: nn.Module, back: nn.Module) -> None:
        super().__init__()
        there, here = (
            (_number(name, one, "in_channels"), _number(name, one, "out_channels"))
            for name, one in (("forth", forth), ("back", back))
        )
        if there != here[::-1]:
            raise ConfigError(
                "TranslatorPair: back must have the channels of forth in reverse; "
                f"forth is {there[0]} -> {there[1]} channels, back {here[0]} -> {here[1]}"
            )
        self.forth = forth
        self.back = back
        self.multiple = math.lcm(
            _number("forth", forth, "multiple"), _number("back", back, "multiple")
        )
        self.stochastic = any(contract_of(one).stochastic for one in (forth, back))


class DiscriminatorPair(nn.Module):
    """Two discriminators, one for each domain, as one player.

    Args:
        target: discriminator of targets, the opponent of ``forth``.
        input: discriminator of inputs, the opponent of ``back``.
    """

    def __init__(self, target: nn.Module, input: nn.Module) -> None:
        super().__init__()
        self.target = target
        self.input = input


def _number(name: str, network: nn.Module, attribute: str) -> int:
    value = getattr(network, attribute, None)
    if not isinstance(value, int):
        raise ConfigError(
            f"TranslatorPair: {name} must have a whole number as its attribute {attribute}; "
            f"{type(network).__name__} has {value!r}"
        )
    return value
