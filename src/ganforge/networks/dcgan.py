from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Literal, Unpack

import torch
from torch import Tensor, nn

from ganforge.networks.discriminator import Discriminator, DiscriminatorArguments
from ganforge.networks.generator import Generator, GeneratorArguments
from ganforge.networks.layers.attention import attention_layers
from ganforge.networks.layers.blocks import NormReLU, UpBlock, down_block
from ganforge.networks.layers.head import Head
from ganforge.networks.layers.initialization import initialize_normal, normalize_spectrum
from ganforge.networks.layers.minibatch_stddev import MinibatchStddev, check_group_size
from ganforge.networks.layers.normalization import check_norm, normalization
from ganforge.networks.layers.shapes import (
    check_at_least,
    check_image_size,
    doubling_widths,
    powers_of_two,
)


class DCGANGenerator(Generator):
    """DCGAN generator: projection to 4x4, then transposed convolutions up to the image size.

    Radford et al. 2015, arXiv:1511.06434: norm + ReLU in every layer, tanh at the end. At 64x64x3
    with width 64 it is the original network, with 3,576,704 parameters.

    Args:
        image_size: 16, 32, 64, 128 or 256.
        channels: 1 to 4.
        latent_dim: length of z.
        width: channels at half the image size (ngf); they double with each halving.
        max_width: maximum number of channels of a layer, which limits memory at 256x256.
        norm: batch, instance, layer or none.
        spectral_norm: apply spectral normalization (Miyato et al. 2018, arXiv:1802.05957).
        attention: resolutions with self-attention, or "auto": 32, at most half the image size.
        **labels: see Generator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 100,
        width: int = 64,
        max_width: int = 512,
        norm: str = "batch",
        spectral_norm: bool = False,
        attention: Sequence[int] | Literal["auto"] = (),
        **labels: Unpack[GeneratorArguments],
    ) -> None:
        _check("DCGANGenerator", image_size, width, max_width, norm)
        super().__init__(image_size, channels, latent_dim, **labels)
        if norm == "none":
            self.refuse_conditional_norms("norm is none", "norm=batch, or condition=concatenation")
        widths = doubling_widths(image_size.bit_length() - 3, width, max_width)[::-1]
        self.project = nn.Linear(self.input_dim, widths[0] * 16, bias=norm == "none")
        self.start = NormReLU(widths[0], norm, self.condition_dim)
        self.up = nn.ModuleList(
            UpBlock(a, b, norm, self.condition_dim) for a, b in itertools.pairwise(widths)
        )
        self.to_image = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=norm == "none")
        sides = [4 << step for step in range(len(widths))]
        self.attention = attention_layers("DCGANGenerator", attention, image_size, sides, widths)
        initialize_normal(self)
        if spectral_norm:
            normalize_spectrum(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1] of latents [B, latent_dim], labels [B]."""
        condition = self.condition(z, labels)
        features = self.project(self.inputs(z, labels)).unflatten(1, (-1, 4, 4))
        features = self.attention.after(0, self.start(features, condition))
        for index, block in enumerate(self.up, start=1):
            features = self.attention.after(index, block(features, condition))
        return torch.tanh(self.to_image(features))


class DCGANDiscriminator(Discriminator):
    """DCGAN discriminator: strided convolutions down to 4x4, then a linear layer.

    Radford et al. 2015, arXiv:1511.06434: LeakyReLU 0.2, no norm in the first layer. At 64x64x3
    with width 64 it is the original network, with 2,765,568 parameters.

    Args:
        image_size: 16, 32, 64, 128 or 256.
        channels: 1 to 4.
        width: channels of the first layer (ndf); they double with each halving of the image.
        max_width: maximum number of channels of a layer, which limits memory at 256x256.
        norm: batch, instance, layer or none.
        spectral_norm: apply spectral normalization (Miyato et al. 2018, arXiv:1802.05957).
        attention: resolutions with self-attention, or "auto": 32, at most half the image size.
        minibatch_stddev: group size of the minibatch standard deviation before the last layer
            (arXiv:1710.10196); 0 for none.
        **arguments: see Discriminator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int = 64,
        max_width: int = 512,
        norm: str = "batch",
        spectral_norm: bool = False,
        attention: Sequence[int] | Literal["auto"] = (),
        minibatch_stddev: int = 0,
        **arguments: Unpack[DiscriminatorArguments],
    ) -> None:
        _check("DCGANDiscriminator", image_size, width, max_width, norm)
        check_group_size("DCGANDiscriminator", minibatch_stddev)
        super().__init__(image_size, channels, **arguments)
        widths = doubling_widths(image_size.bit_length() - 3, width, max_width)
        # The original has no bias in any convolution. Without norms nothing else could shift the
        # features, so all convolutions get a bias.
        bias = norm == "none"
        self.from_image = down_block(self.input_channels, widths[0], [], bias)
        self.down = nn.Sequential(
            *(down_block(a, b, normalization(norm, b), bias) for a, b in itertools.pairwise(widths))
        )
        sides = [image_size >> step for step in range(1, len(widths) + 1)]
        self.attention = attention_layers(
            "DCGANDiscriminator", attention, image_size, sides, widths
        )
        self.stddev = MinibatchStddev(minibatch_stddev) if minibatch_stddev else None
        feature_dim = (widths[-1] + (minibatch_stddev > 0)) * 16
        self.head = self.make_head(feature_dim, partial(Head, bias=bias))
        initialize_normal(self)
        if spectral_norm:
            normalize_spectrum(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the 4x4 features [B, F] of images [B, packing * C, H, W]."""
        images = self.join_labels(images, labels)
        features: Tensor = self.attention.after(0, self.from_image(images))
        for index, block in enumerate(self.down, start=1):
            features = self.attention.after(index, block(features))
        if self.stddev is not None:
            features = self.stddev(features)
        return features.flatten(1)


def _check(name: str, image_size: int, width: int, max_width: int, norm: str) -> None:
    check_image_size(name, image_size, powers_of_two(16, 256))
    check_at_least(name, 1, width=width, max_width=max_width)
    check_norm(name, norm)
