"""Residual networks of SNGAN and SAGAN, and of WGAN-GP with other norms."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.networks.discriminator import Discriminator, DiscriminatorArguments
from ganforge.networks.generator import Generator, GeneratorArguments
from ganforge.networks.layers.attention import attention_layers
from ganforge.networks.layers.blocks import (
    DownResidualBlock,
    FirstDownBlock,
    NormReLU,
    UpResidualBlock,
)
from ganforge.networks.layers.initialization import initialize_glorot, normalize_spectrum
from ganforge.networks.layers.minibatch_stddev import MinibatchStddev, check_group_size
from ganforge.networks.layers.normalization import check_norm
from ganforge.networks.layers.shapes import check_at_least, check_image_size


class Layout(NamedTuple):
    """Blocks of a residual network for one image size.

    Attributes:
        width: published base number of channels.
        multiples: channels in multiples of the width: of G's first features and after each of its
            blocks, or after each block of D.
        sides: side of the features after each block.
    """

    width: int
    multiples: tuple[int, ...]
    sides: tuple[int, ...]


# Miyato et al. 2018, arXiv:1802.05957, appendix B: CIFAR-10 (32), STL-10 (48), ImageNet (128). The
# 64-pixel pair is from the authors' code for Miyato & Koyama 2018, arXiv:1802.05637: that of
# ImageNet with one block less in each network. Size 16 is not published: it is CIFAR's with one
# block less in the generator.
GENERATORS = {
    16: Layout(256, (1, 1, 1), (8, 16)),
    32: Layout(256, (1, 1, 1, 1), (8, 16, 32)),
    48: Layout(64, (8, 4, 2, 1), (12, 24, 48)),
    64: Layout(64, (16, 8, 4, 2, 1), (8, 16, 32, 64)),
    128: Layout(64, (16, 16, 8, 4, 2, 1), (8, 16, 32, 64, 128)),
}
DISCRIMINATORS = {
    16: Layout(128, (1, 1, 1, 1), (8, 4, 4, 4)),
    32: Layout(128, (1, 1, 1, 1), (16, 8, 8, 8)),
    48: Layout(64, (1, 2, 4, 8, 16), (24, 12, 6, 3, 3)),
    64: Layout(64, (1, 2, 4, 8, 16), (32, 16, 8, 4, 2)),
    128: Layout(64, (1, 2, 4, 8, 16, 16), (64, 32, 16, 8, 4, 4)),
}


class ResNetGenerator(Generator):
    """Residual generator: a linear layer to 4x4 (6x6 for 48), upsampling blocks, norm, ReLU, tanh.

    Miyato et al. 2018, arXiv:1802.05957 and arXiv:1802.05637; at 32x32x3 and the published width
    256 it has 4,276,739 parameters. With ``spectral_norm`` and ``attention`` it is the generator of
    SAGAN (Zhang et al. 2019, arXiv:1805.08318).

    Args:
        image_size: 16, 32, 48, 64 or 128.
        channels: 1 to 4.
        latent_dim: length of z.
        width: channels at full resolution; earlier blocks have 1 to 16 times as many. None for the
            published 256 (image sizes 16, 32) or 64 (48, 64, 128).
        norm: batch, instance, layer or none.
        spectral_norm: apply spectral normalization.
        attention: resolutions with self-attention, or "auto": 32, at most half the image size.
        **labels: see Generator. The last norm is unconditional, as in the authors' code.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 128,
        width: int | None = None,
        norm: str = "batch",
        spectral_norm: bool = False,
        attention: Sequence[int] | Literal["auto"] = (),
        **labels: Unpack[GeneratorArguments],
    ) -> None:
        _check("ResNetGenerator", image_size, width, norm)
        super().__init__(image_size, channels, latent_dim, **labels)
        if norm == "none":
            self.refuse_conditional_norms("norm is none", "norm=batch, or condition=concatenation")
        layout = GENERATORS[image_size]
        self.start = layout.sides[0] // 2
        widths = [(width or layout.width) * multiple for multiple in layout.multiples]
        self.project = nn.Linear(self.input_dim, widths[0] * self.start**2)
        self.blocks = nn.ModuleList(
            UpResidualBlock(a, b, norm, self.condition_dim) for a, b in itertools.pairwise(widths)
        )
        self.attention = attention_layers(
            "ResNetGenerator", attention, image_size, layout.sides, widths[1:]
        )
        self.norm = NormReLU(widths[-1], norm)
        self.to_image = nn.Conv2d(widths[-1], channels, 3, padding=1)
        for part in (self.project, self.attention, self.to_image):
            initialize_glorot(part)
        if spectral_norm:
            normalize_spectrum(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1] of latents [B, latent_dim], labels [B]."""
        condition = self.condition(z, labels)
        features = self.project(self.inputs(z, labels))
        features = features.view(len(z), -1, self.start, self.start)
        for index, block in enumerate(self.blocks):
            features = self.attention.after(index, block(features, condition))
        return torch.tanh(self.to_image(self.norm(features)))


class ResNetDiscriminator(Discriminator):
    """Residual discriminator: downsampling blocks, ReLU, global sum pooling, head.

    Miyato et al. 2018, arXiv:1802.05957 and arXiv:1802.05637; at 32x32x3 and the published width
    128 it has 1,053,825 parameters. With ``attention`` it is the discriminator of SAGAN (Zhang et
    al. 2019, arXiv:1805.08318).

    Args:
        image_size: 16, 32, 48, 64 or 128.
        channels: 1 to 4.
        width: channels of the first block; later ones have 1 to 16 times as many. None for the
            published 128 (image sizes 16, 32) or 64 (48, 64, 128).
        norm: batch, instance, layer or none; not used in the first block and after the last.
        spectral_norm: apply spectral normalization.
        attention: resolutions with self-attention, or "auto": 32, at most half the image size.
        minibatch_stddev: group size of the minibatch standard deviation before the last block
            (arXiv:1710.10196); 0 for none.
        **arguments: see Discriminator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int | None = None,
        norm: str = "none",
        spectral_norm: bool = False,
        attention: Sequence[int] | Literal["auto"] = (),
        minibatch_stddev: int = 0,
        **arguments: Unpack[DiscriminatorArguments],
    ) -> None:
        _check("ResNetDiscriminator", image_size, width, norm)
        check_group_size("ResNetDiscriminator", minibatch_stddev)
        super().__init__(image_size, channels, **arguments)
        layout = DISCRIMINATORS[image_size]
        widths = [(width or layout.width) * multiple for multiple in layout.multiples]
        self.blocks = nn.ModuleList([FirstDownBlock(self.input_channels, widths[0])])
        for index, (a, b) in enumerate(itertools.pairwise(widths), start=1):
            down = layout.sides[index] < layout.sides[index - 1]
            appended = minibatch_stddev > 0 and index == len(widths) - 1
            self.blocks.append(DownResidualBlock(a + appended, b, norm, down))
        self.attention = attention_layers(
            "ResNetDiscriminator", attention, image_size, layout.sides, widths
        )
        self.stddev = MinibatchStddev(minibatch_stddev) if minibatch_stddev else None
        self.head = self.make_head(widths[-1])
        for part in (self.attention, self.head):
            initialize_glorot(part)
        if spectral_norm:
            normalize_spectrum(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the sum-pooled features [B, F] of images [B, packing * C, H, W]."""
        features = self.join_labels(images, labels)
        for index, block in enumerate(self.blocks):
            if self.stddev is not None and index == len(self.blocks) - 1:
                features = self.stddev(features)
            features = self.attention.after(index, block(features))
        return F.relu(features).sum(dim=(2, 3))


def _check(name: str, image_size: int, width: int | None, norm: str) -> None:
    others = "network=dcgan goes up to 256, and network=mlp takes any size"
    check_image_size(name, image_size, [*GENERATORS], others)
    if width is not None:
        check_at_least(name, 1, width=width)
    check_norm(name, norm)
