from __future__ import annotations

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.discriminator import DiscriminatorArguments
from ganforge.networks.generator import GeneratorArguments
from ganforge.networks.layers.convolution import GroupedConv2d
from ganforge.networks.layers.head import Head, HeadArguments
from ganforge.networks.layers.labels import required
from ganforge.networks.layers.shapes import check_at_least, powers_of_two
from ganforge.networks.layers.upfirdn2d import Downsample, Upsample
from ganforge.networks.staged import StagedDiscriminator, StagedGenerator

SIZES = powers_of_two(16, 256)
SLOPE = 0.2
# Gain of He et al. 2015 (arXiv:1502.01852), which preserves the variance through LeakyReLU.
GAIN = math.sqrt(2 / (1 + SLOPE**2))


class R3GANGenerator(StagedGenerator):
    """R3GAN generator: 4x4 basis maps weighted by the latent, then stages of residual blocks.

    Huang et al. 2024, arXiv:2501.05441: no normalization and no tanh at the end; in evaluation
    images are clamped to [-1, 1]. At 256x256x3 with width 768 it is the paper's network, with
    23.058 million parameters (23,057,952).

    Args:
        image_size: 16, 32, 64, 128 or 256.
        channels: 1 to 4.
        latent_dim: length of z.
        width: channels of the stages up to the resolution ``full_width``; then halved per stage.
        full_width: largest resolution with ``width`` channels.
        blocks: residual blocks per stage.
        expansion: inner width of a block, relative to the width of its stage.
        group_size: channels per group of the 3x3 convolutions; the cardinality is
            expansion * width / group_size.
        embedding_dim: length of the label embedding that is concatenated with the latent.
        **labels: see Generator; labels enter by concatenation.
    """

    sizes = SIZES

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 64,
        width: int = 768,
        full_width: int = 32,
        blocks: int = 2,
        expansion: int = 2,
        group_size: int = 16,
        embedding_dim: int = 64,
        **labels: Unpack[GeneratorArguments],
    ) -> None:
        sizes = {"blocks": blocks, "expansion": expansion, "group_size": group_size}
        check_at_least("R3GANGenerator", 1, **sizes, embedding_dim=embedding_dim)
        super().__init__(image_size, channels, latent_dim, width, full_width, **labels)
        self.refuse_conditional_norms("there is none")
        input_dim = latent_dim
        self.embedding = None
        if self.label_dim:
            input_dim += embedding_dim
            self.embedding = nn.Embedding(self.label_dim, embedding_dim)
            # The scale of a linear layer on the label's one-hot code, whose fan-in is num_classes.
            nn.init.normal_(self.embedding.weight, 0.0, self.label_dim**-0.5)
        depth = blocks * len(self.widths)
        layers: list[nn.Module] = [GenerativeBasis(input_dim, self.widths[0])]
        for stage, wide in enumerate(self.widths):
            if stage > 0:
                layers += [*_change(self.widths[stage - 1], wide), Upsample()]
            layers += [ResidualBlock(wide, expansion, group_size, depth) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.to_image = _pointwise(self.widths[-1], channels)

    def inputs(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns the latent, concatenated with the label embedding if there is one: [B, D]."""
        if self.embedding is None:
            return z
        return torch.cat([z, self.embedding(required(labels))], dim=1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] of latents [B, latent_dim], labels [B].

        They are in [-1, 1] in evaluation mode; in training mode they are not clamped.
        """
        return self.finish(self.to_image(self.layers(self.inputs(z, labels))))


class R3GANDiscriminator(StagedDiscriminator):
    """R3GAN discriminator: stages of residual blocks, a depthwise 4x4 convolution, a linear layer.

    Huang et al. 2024, arXiv:2501.05441: the mirrored generator, without normalization. At
    256x256x3 with width 768 it is the paper's network, with 23.010 million parameters (23,009,568).

    Args:
        image_size: 16, 32, 64, 128 or 256.
        channels: 1 to 4.
        width: channels of the stages up to the resolution ``full_width``; then halved per stage.
        full_width: largest resolution with ``width`` channels.
        blocks: residual blocks per stage.
        expansion: inner width of a block, relative to the width of its stage.
        group_size: channels per group of the 3x3 convolutions.
        **arguments: see Discriminator.
    """

    sizes = SIZES

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int = 768,
        full_width: int = 32,
        blocks: int = 2,
        expansion: int = 2,
        group_size: int = 16,
        **arguments: Unpack[DiscriminatorArguments],
    ) -> None:
        sizes = {"blocks": blocks, "expansion": expansion, "group_size": group_size}
        check_at_least("R3GANDiscriminator", 1, **sizes)
        super().__init__(image_size, channels, width, full_width, **arguments)
        widths = self.widths[::-1]
        depth = blocks * len(widths)
        layers: list[nn.Module] = [_pointwise(self.input_channels, widths[0])]
        for stage, wide in enumerate(widths):
            if stage > 0:
                layers += [Downsample(), *_change(widths[stage - 1], wide)]
            layers += [ResidualBlock(wide, expansion, group_size, depth) for _ in range(blocks)]
        last = widths[-1]
        layers.append(scaled(GroupedConv2d(last, last, 4, groups=last, bias=False)))
        self.layers = nn.Sequential(*layers)
        self.head = self.make_head(last, ProjectionHead)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns features [B, F] of images [B, packing * C, H, W]; F is the channels at 4x4."""
        features: Tensor = self.layers(self.join_labels(images, labels))
        return features.flatten(1)


def scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Initializes a layer's weight from N(0, gain^2 / fan_in), its bias with 0, and returns it."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """Residual block of 1x1, grouped 3x3 and 1x1 convolutions, without normalization.

    LeakyReLU is applied only between the convolutions; the skip path is linear. The last
    convolution is initialized with 0 and the others are scaled by L^(-1/4), which preserves the
    variance at any depth (Fixup, Zhang et al. 2019, arXiv:1901.09321).

    Args:
        channels: C.
        expansion: the 3x3 convolution has expansion * C channels.
        group_size: channels per group of the 3x3 convolution; one group if it has fewer channels.
        depth: L, the number of residual blocks in the network.
    """

    def __init__(self, channels: int, expansion: int, group_size: int, depth: int) -> None:
        super().__init__()
        wide = channels * expansion
        group = min(group_size, wide)
        if wide % group:
            raise ConfigError(
                f"R3GAN: group_size must divide the {wide} channels of a block of width "
                f"{channels} and expansion {expansion}; got {group_size}"
            )
        gain = GAIN * depth**-0.25
        self.widen = scaled(nn.Conv2d(channels, wide, 1), gain)
        groups = wide // group
        self.mix = scaled(GroupedConv2d(wide, wide, 3, padding=1, groups=groups), gain)
        self.narrow = scaled(nn.Conv2d(wide, channels, 1, bias=False), 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W]."""
        wide = F.leaky_relu(self.widen(features), SLOPE)
        residual: Tensor = self.narrow(F.leaky_relu(self.mix(wide), SLOPE))
        return features + residual


class GenerativeBasis(nn.Module):
    """Learned 4x4 maps, each scaled by a linear function of the latent: [B, D] -> [B, C, 4, 4]."""

    def __init__(self, input_dim: int, channels: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.empty(channels, 4, 4))
        nn.init.normal_(self.maps)
        self.amounts = scaled(nn.Linear(input_dim, channels, bias=False))

    def forward(self, latents: Tensor) -> Tensor:
        """Returns [B, C, 4, 4] of latents [B, D]."""
        amounts: Tensor = self.amounts(latents)
        return self.maps * amounts[:, :, None, None]


class ProjectionHead(Head):
    """Head that returns the inner product of the label embedding and projected features.

    Unlike the head of Miyato & Koyama 2018 (arXiv:1802.05637), it has no class-independent term and
    no bias. Without projection it is a linear layer.
    """

    def __init__(self, feature_dim: int, **arguments: Unpack[HeadArguments]) -> None:
        super().__init__(feature_dim, **arguments, bias=False)
        projected = 1 if self.embedding is None else feature_dim
        self.logit = scaled(nn.Linear(feature_dim, projected, bias=False))
        if self.embedding is not None:
            # The scale of a linear layer on the label's one-hot code, divided by sqrt(F) so that
            # the sum over F products keeps it.
            std = (self.embedding.num_embeddings * feature_dim) ** -0.5
            nn.init.normal_(self.embedding.weight, 0.0, std)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns raw logits [B] of features [B, F]; ``labels`` [B] int64 for a projection."""
        projected: Tensor = self.logit(features)
        if self.embedding is None:
            return projected.squeeze(1)
        return self.similarity(projected, labels)


def _pointwise(channels_in: int, channels_out: int) -> nn.Module:
    return scaled(nn.Conv2d(channels_in, channels_out, 1, bias=False))


def _change(channels_in: int, channels_out: int) -> list[nn.Module]:
    """Returns the 1x1 convolution that changes the channels between stages; [] if equal."""
    return [] if channels_in == channels_out else [_pointwise(channels_in, channels_out)]
