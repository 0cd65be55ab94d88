"""Base classes of networks with a stage for each resolution, from 4x4 to the image size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from torch import Tensor

from ganforge.networks.discriminator import Discriminator, DiscriminatorArguments
from ganforge.networks.generator import Generator, GeneratorArguments
from ganforge.networks.layers.shapes import (
    check_at_least,
    check_choice,
    check_image_size,
    powers_of_two,
    stage_widths,
)

SIZES = powers_of_two(8, 1024)


class StagedGeneratorArguments(GeneratorArguments, total=False):
    """Arguments of StagedGenerator, except the shapes of images and latents."""

    width: int
    full_width: int


class StagedDiscriminatorArguments(DiscriminatorArguments, total=False):
    """Arguments of StagedDiscriminator, except the shape of images."""

    width: int
    full_width: int


class StagedGenerator(Generator):
    """Base class of generators that double the resolution from stage to stage, without tanh.

    Args:
        image_size: side of the full images, one of ``sizes``.
        channels: C, 1 to 4.
        latent_dim: length of z.
        width: channels of the stages up to the resolution ``full_width``; then halved per stage.
        full_width: largest resolution with ``width`` channels.
        **labels: see Generator.

    Attributes:
        sizes: supported image sizes.
        widths: channels at 4x4, 8x8, ... ``image_size``.
    """

    sizes: Sequence[int] = SIZES

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int,
        width: int = 512,
        full_width: int = 32,
        **labels: Unpack[GeneratorArguments],
    ) -> None:
        _check(type(self).__name__, self.sizes, image_size, width, full_width)
        super().__init__(image_size, channels, latent_dim, **labels)
        self.widths = stage_widths(image_size, width, full_width)

    def finish(self, images: Tensor) -> Tensor:
        """Returns the images; in evaluation mode they are clamped to [-1, 1]."""
        return images if self.training else images.clamp(-1, 1)


class StagedDiscriminator(Discriminator):
    """Base class of discriminators that halve the resolution from stage to stage, down to 4x4.

    Args:
        image_size: side of the full images, one of ``sizes``.
        channels: C of one image, 1 to 4.
        width: channels of the stages up to the resolution ``full_width``; then halved per stage.
        full_width: largest resolution with ``width`` channels.
        **arguments: see Discriminator.
    """

    sizes: Sequence[int] = SIZES

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int = 512,
        full_width: int = 32,
        **arguments: Unpack[DiscriminatorArguments],
    ) -> None:
        _check(type(self).__name__, self.sizes, image_size, width, full_width)
        super().__init__(image_size, channels, **arguments)
        self.widths = stage_widths(image_size, width, full_width)


def _check(name: str, sizes: Sequence[int], image_size: int, width: int, full_width: int) -> None:
    check_image_size(name, image_size, sizes)
    check_at_least(name, 1, width=width)
    check_choice(name, powers_of_two(4, sizes[-1]), full_width=full_width)
