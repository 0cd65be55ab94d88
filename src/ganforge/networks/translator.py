from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.contract import contract_of
from ganforge.networks.layers.shapes import check_at_least


class Translator(nn.Module):
    """Base class of translators, which map images to images.

    Args:
        in_channels: C of the input images.
        out_channels: C of the output images.
        multiple: height and width must be multiples of this.
        stochastic: whether an output depends on random draws or on the other images of the batch,
            also in evaluation.
        smallest: minimum height and width; None for ``multiple``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        multiple: int,
        stochastic: bool,
        smallest: int | None = None,
    ) -> None:
        super().__init__()
        check_at_least(type(self).__name__, 1, in_channels=in_channels, out_channels=out_channels)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.multiple = multiple
        self.stochastic = stochastic
        self.smallest = multiple if smallest is None else smallest

    def check_sides(self, height: int, width: int) -> None:
        """Raises ConfigError unless height and width are large enough multiples of ``multiple``."""
        if height % self.multiple or width % self.multiple or min(height, width) < self.smallest:
            raise ConfigError(
                f"{type(self).__name__}: height and width must be multiples of {self.multiple}, "
                f"and at least {self.smallest}; got {height}x{width}"
            )


class PersistentDropout(nn.Module):
    """Dropout that stays active in evaluation; it is the noise source of Pix2Pix.

    Isola et al. 2017, arXiv:1611.07004, section 3.1. An element is set to 0 with probability p and
    otherwise divided by 1 - p, in training and evaluation mode. It draws from PyTorch's global
    generators, which the caller must seed (:func:`ganforge.streams.seed_layers`). In evaluation
    mode it always draws from that of the CPU, so that every device translates with the same draws.

    Args:
        p: probability of dropping an element, in [0, 1).
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, features: Tensor) -> Tensor:
        """Returns features [B, C, H, W] with elements dropped independently."""
        if self.training or features.device.type == "cpu":
            return F.dropout(features, self.p, training=True)
        return features * self.factors(features.shape).to(features)

    def factors(self, shape: torch.Size) -> Tensor:
        """Draws the factors of F.dropout on the CPU: float32, 0 or 1 / (1 - p)."""
        kept = torch.empty(shape, dtype=torch.float32, device="cpu")
        return kept.bernoulli_(1 - self.p).div_(1 - self.p)

    def extra_repr(self) -> str:
        """Returns the arguments that PyTorch shows in the layer's repr."""
        return f"p={self.p}"


def dropout_layers(p: float) -> list[nn.Module]:
    """Returns the layer to insert after a norm: a list of one module, or empty for p = 0."""
    return [PersistentDropout(p)] if p > 0 else []


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
