from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.discriminator import Discriminator
from ganforge.networks.generator import Generator
from ganforge.networks.layers.labels import with_label_planes
from ganforge.networks.layers.resampling import Downsample, Upsample
from ganforge.networks.layers.shapes import check_full_width, check_positive, check_power_of_two
from ganforge.networks.r3gan_blocks import GenerativeBasis, ProjectionHead, ResidualBlock, scaled


def stage_widths(image_size: int, width: int, full_width: int) -> list[int]:
    """Returns the channels at 4x4, 8x8, ... up to ``image_size``.

    They equal ``width`` up to the resolution ``full_width``, then halve at each doubling. For
    image_size 256, width 768 and full_width 32: 768, 768, 768, 768, 384, 192, 96.
    """
    sides = [4 << stage for stage in range(image_size.bit_length() - 2)]
    return [max(width * full_width // max(side, full_width), 1) for side in sides]


class R3GANGenerator(Generator):
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
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none or concatenation.
    """

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
        num_classes: int = 0,
        conditioning: str = "none",
    ) -> None:
        _check("R3GANGenerator", image_size, width, full_width, blocks, expansion, group_size)
        super().__init__(image_size, channels, latent_dim, num_classes, conditioning)
        self.embedding = self._make_embedding(embedding_dim)
        beside = embedding_dim if self.embedding is not None else 0
        widths = stage_widths(image_size, width, full_width)
        depth = blocks * len(widths)
        layers: list[nn.Module] = [GenerativeBasis(latent_dim + beside, widths[0])]
        for stage, wide in enumerate(widths):
            if stage > 0:
                layers += [*_change(widths[stage - 1], wide), Upsample()]
            layers += [ResidualBlock(wide, expansion, group_size, depth) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.to_image = scaled(nn.Conv2d(widths[-1], channels, 1, bias=False))

    def _make_embedding(self, length: int) -> nn.Embedding | None:
        check_positive("R3GANGenerator", "embedding_dim", length)
        if self.conditioning == "normalization":
            raise ConfigError(
                "R3GANGenerator: conditioning=normalization needs a norm, and there is none. Take "
                "condition=embedding, or condition=none"
            )
        if self.conditioning == "none":
            return None
        embedding = nn.Embedding(self.num_classes, length)
        # The scale of a linear layer on the label's one-hot code, whose fan-in is num_classes.
        nn.init.normal_(embedding.weight, 0.0, self.num_classes**-0.5)
        return embedding

    def inputs(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns the latent, concatenated with the label embedding if there is one: [B, D]."""
        if self.embedding is None:
            return z
        if labels is None:
            raise ConfigError("a conditional network needs the labels of its images")
        return torch.cat([z, self.embedding(labels)], dim=1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] of latents [B, latent_dim], labels [B].

        They are in [-1, 1] in evaluation mode; in training mode they are not clamped.
        """
        images: Tensor = self.to_image(self.layers(self.inputs(z, labels)))
        return images if self.training else images.clamp(-1, 1)


class R3GANDiscriminator(Discriminator):
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
        group_size: channels per group of the 3x3 convolutions; the cardinality is
            expansion * width / group_size.
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none, concatenation or projection.
        auxiliary: lengths of the auxiliary outputs.
        packing: images per input (PacGAN, arXiv:1712.04086).
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int = 768,
        full_width: int = 32,
        blocks: int = 2,
        expansion: int = 2,
        group_size: int = 16,
        num_classes: int = 0,
        conditioning: str = "none",
        auxiliary: Sequence[int] = (),
        packing: int = 1,
    ) -> None:
        _check("R3GANDiscriminator", image_size, width, full_width, blocks, expansion, group_size)
        super().__init__(image_size, channels, num_classes, conditioning, auxiliary, packing)
        widths = stage_widths(image_size, width, full_width)[::-1]
        depth = blocks * len(widths)
        planes = num_classes if conditioning == "concatenation" else 0
        inputs = self.inputs + planes
        layers: list[nn.Module] = [scaled(nn.Conv2d(inputs, widths[0], 1, bias=False))]
        for stage, wide in enumerate(widths):
            if stage > 0:
                layers += [Downsample(), *_change(widths[stage - 1], wide)]
            layers += [ResidualBlock(wide, expansion, group_size, depth) for _ in range(blocks)]
        last = widths[-1]
        layers.append(scaled(nn.Conv2d(last, last, 4, groups=last, bias=False)))
        self.layers = nn.Sequential(*layers)
        projection = conditioning == "projection"
        self.head = ProjectionHead(last, num_classes, projection, self.auxiliary_sizes)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns features [B, F] of images [B, packing * C, H, W]; F is the channels at 4x4."""
        if self.conditioning == "concatenation":
            images = with_label_planes(images, labels, self.num_classes)
        features: Tensor = self.layers(images)
        return features.flatten(1)


def _change(channels_in: int, channels_out: int) -> list[nn.Module]:
    """Returns the 1x1 convolution that changes the channels between stages; [] if equal."""
    if channels_in == channels_out:
        return []
    return [scaled(nn.Conv2d(channels_in, channels_out, 1, bias=False))]


def _check(
    name: str,
    image_size: int,
    width: int,
    full_width: int,
    blocks: int,
    expansion: int,
    group_size: int,
) -> None:
    check_power_of_two(name, image_size, 16, 256)
    check_full_width(name, full_width, 256)
    sizes = {"width": width, "blocks": blocks, "expansion": expansion, "group_size": group_size}
    for argument, value in sizes.items():
        check_positive(name, argument, value)
