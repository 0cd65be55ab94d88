from __future__ import annotations

import math
from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.networks.layers.checkpointing import Checkpointed
from ganforge.networks.layers.equalized import HE_GAIN, EqualizedConv2d, EqualizedLinear
from ganforge.networks.layers.head import Head, HeadArguments
from ganforge.networks.layers.minibatch_stddev import MinibatchStddev, check_group_size
from ganforge.networks.layers.normalization import pixel_norm
from ganforge.networks.layers.progressive import Growing, GrowthLevel, double, halve
from ganforge.networks.staged import (
    StagedDiscriminator,
    StagedDiscriminatorArguments,
    StagedGenerator,
    StagedGeneratorArguments,
)


class PGGANGenerator(Growing, StagedGenerator):
    """Progressively growing generator: starts at 4x4 and doubles the image size at each stage.

    Karras et al. 2018, arXiv:1710.10196, table 2: latents normalized to a hypersphere, equalized
    learning rate, pixel normalization. Every size has its own 1x1 convolution to images. There is
    no tanh at the end; in evaluation images are clamped to [-1, 1]. At 1024x1024x3 with width 512
    it is the paper's network, with 23.1 million parameters.

    Args:
        image_size: side of the full images: 8, 16, ... 1024.
        channels: 1 to 4.
        latent_dim: length of z.
        **stages: see StagedGenerator; labels enter by concatenation.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 512,
        **stages: Unpack[StagedGeneratorArguments],
    ) -> None:
        super().__init__(image_size, channels, latent_dim, **stages)
        self.refuse_conditional_norms("pixel normalization has no gains and biases")
        self.level = GrowthLevel(len(self.widths) - 1)
        self.first = FirstBlock(self.input_dim, self.widths[0])
        self.blocks = nn.ModuleList(map(DoublingBlock, self.widths[:-1], self.widths[1:]))
        self.to_image = nn.ModuleList(EqualizedConv2d(wide, channels, 1) for wide in self.widths)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, S, S] of latents [B, latent_dim], labels [B].

        S is the side at the current level. Images are in [-1, 1] in evaluation mode; in training
        mode they are not clamped.
        """
        stage = self.level.stage
        features = below = self.first(self.inputs(pixel_norm(z), labels))
        for block in list(self.blocks)[:stage]:
            below, features = features, block(features)
        images: Tensor = self.to_image[stage](features)
        if self.level.fading:
            images = self.level.fade(double(self.to_image[stage - 1](below)), images)
        return self.finish(images)


class PGGANDiscriminatorArguments(StagedDiscriminatorArguments, total=False):
    """Arguments of PGGANDiscriminator, except the shape of images."""

    minibatch_stddev: int


class PGGANDiscriminator(Growing, StagedDiscriminator):
    """Progressively growing discriminator, mirrored from the generator, with minibatch stddev.

    Karras et al. 2018, arXiv:1710.10196, table 2. At 1024x1024x3 with width 512 it is the paper's
    network, with 23.1 million parameters.

    Args:
        image_size: side of the full images: 8, 16, ... 1024.
        channels: 1 to 4.
        minibatch_stddev: group size of the minibatch standard deviation at 4x4; 0 for none.
        **stages: see StagedDiscriminator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        minibatch_stddev: int = 4,
        **stages: Unpack[StagedDiscriminatorArguments],
    ) -> None:
        check_group_size(type(self).__name__, minibatch_stddev)
        super().__init__(image_size, channels, **stages)
        self.level = GrowthLevel(len(self.widths) - 1)
        self.from_image = nn.ModuleList(
            convolution(self.input_channels, wide, kernel_size=1) for wide in self.widths
        )
        self.blocks = nn.ModuleList(map(HalvingBlock, self.widths[1:], self.widths[:-1]))
        self.last = LastBlock(self.widths[0], minibatch_stddev)
        self.head = self.make_head(self.widths[0], EqualizedHead)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the features [B, F] of images [B, packing * C, S, S] of the current level."""
        features = self._first_features(self.join_labels(images, labels))
        for block in reversed(list(self.blocks)[: max(self.level.stage - 1, 0)]):
            features = block(features)
        last: Tensor = self.last(features)
        return last

    def _first_features(self, images: Tensor) -> Tensor:
        """Returns the features one stage below that of the images, or at 4x4 if there is none."""
        stage = self.level.stage
        features: Tensor = activated(self.from_image[stage](images))
        if stage == 0:
            return features
        features = self.blocks[stage - 1](features)
        if self.level.fading:
            below = activated(self.from_image[stage - 1](halve(images)))
            features = self.level.fade(below, features)
        return features


def convolution(channels_in: int, channels_out: int, kernel_size: int = 3) -> EqualizedConv2d:
    """Returns a size-preserving equalized convolution, with the gain for a following LeakyReLU."""
    return EqualizedConv2d(channels_in, channels_out, kernel_size, gain=HE_GAIN)


def activated(features: Tensor) -> Tensor:
    """Returns the features after LeakyReLU 0.2."""
    return F.leaky_relu(features, 0.2)


def normalized(features: Tensor) -> Tensor:
    """Returns features [B, C, H, W] after LeakyReLU and pixel normalization."""
    return pixel_norm(activated(features))


class FirstBlock(nn.Module):
    """Latents to 4x4 features: a 4x4 convolution of the latent as a 1x1 image, then a 3x3 one."""

    def __init__(self, input_dim: int, channels: int) -> None:
        super().__init__()
        self.spread = EqualizedConv2d(input_dim, channels, 4, gain=HE_GAIN, padding=3)
        self.convolution = convolution(channels, channels)

    def forward(self, latents: Tensor) -> Tensor:
        """Returns [B, C, 4, 4] of latents [B, D]."""
        features = normalized(self.spread(latents[:, :, None, None]))
        return normalized(self.convolution(features))


class DoublingBlock(nn.Module):
    """Upsampling by 2, then two 3x3 convolutions with pixel normalization."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = convolution(channels_in, channels_out)
        self.second = convolution(channels_out, channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C', 2H, 2W] of features [B, C, H, W]."""
        return normalized(self.second(normalized(self.first(double(features)))))


class HalvingBlock(Checkpointed):
    """Two 3x3 convolutions, then downsampling by 2."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = convolution(channels_in, channels_in)
        self.second = convolution(channels_in, channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C', H/2, W/2] of features [B, C, H, W]."""
        return halve(activated(self.second(activated(self.first(features)))))


class LastBlock(nn.Module):
    """4x4 features to a vector: minibatch stddev, a 3x3 convolution, then a 4x4 convolution."""

    def __init__(self, channels: int, minibatch_stddev: int) -> None:
        super().__init__()
        self.spread = MinibatchStddev(minibatch_stddev) if minibatch_stddev else nn.Identity()
        self.convolution = convolution(channels + bool(minibatch_stddev), channels)
        self.gather = EqualizedConv2d(channels, channels, 4, gain=HE_GAIN, padding=0)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C] of features [B, C, 4, 4]."""
        mixed = activated(self.convolution(self.spread(features)))
        return activated(self.gather(mixed)).flatten(1)


class EqualizedHead(Head):
    """Head with equalized learning rate; the inner product is divided by sqrt(F)."""

    def __init__(self, feature_dim: int, **arguments: Unpack[HeadArguments]) -> None:
        super().__init__(feature_dim, **arguments)
        self.logit = EqualizedLinear(feature_dim, 1)
        if self.auxiliary is not None:
            self.auxiliary = EqualizedLinear(feature_dim, self.auxiliary_dim)

    def similarity(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """Returns inner products [B], divided by sqrt(F)."""
        return super().similarity(features, labels) / math.sqrt(self.feature_dim)
