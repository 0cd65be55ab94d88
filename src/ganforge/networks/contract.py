from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

from torch import nn


@dataclass(frozen=True)
class Contract:
    """What a network is built for, as it states by attributes and methods of the same names.

    A network states only what applies to it; the defaults hold for the rest.

    Attributes:
        image_size: side of its images; None for any.
        channels: channels of its images; None for any.
        in_channels: channels of the images that it reads; None for any.
        out_channels: channels of the images that it returns; None for any.
        latent_dim: length of its latents.
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter; "none" if they do not.
        packing: images that a discriminator gets as one input.
        auxiliary_sizes: lengths of a discriminator's outputs besides the logit.
        multiple: sides of its images are multiples of this number.
        smallest: smallest side of its images.
        stochastic: whether it draws random numbers when it generates.
        methods: which of ``METHODS`` it has.
    """

    image_size: int | None = None
    channels: int | None = None
    in_channels: int | None = None
    out_channels: int | None = None
    latent_dim: int = 0
    num_classes: int = 0
    conditioning: str = "none"
    packing: int = 1
    auxiliary_sizes: tuple[int, ...] = ()
    multiple: int = 1
    smallest: int = 1
    stochastic: bool = False
    methods: frozenset[str] = frozenset()


# grow sets the level of progressive growing; mapping maps latents to styles, synthesize styles to
# images.
METHODS = ("grow", "mapping", "synthesize")


def contract_of(network: nn.Module) -> Contract:
    """Returns what a network is built for; also of networks that are not from ganforge."""
    names = [field.name for field in fields(Contract) if field.name != "methods"]
    stated = {name: getattr(network, name) for name in names if hasattr(network, name)}
    if "auxiliary_sizes" in stated:
        stated["auxiliary_sizes"] = tuple(stated["auxiliary_sizes"])
    methods = frozenset(name for name in METHODS if hasattr(network, name))
    return Contract(**stated, methods=methods)


@runtime_checkable
class ComparesRows(Protocol):
    """A layer that compares the rows of a batch, which takes only some numbers of rows."""

    def check_rows(self, rows: int) -> None:
        """Raises ConfigError if the layer does not take batches of this size."""
        ...
