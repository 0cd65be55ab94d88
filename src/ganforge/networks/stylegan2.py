from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.discriminator import Discriminator
from ganforge.networks.generator import Generator
from ganforge.networks.layers.equalized import HE_GAIN, EqualizedLinear
from ganforge.networks.layers.labels import with_label_planes
from ganforge.networks.layers.mapped_projection import MappedProjection
from ganforge.networks.layers.mapping import Mapping
from ganforge.networks.layers.minibatch_stddev import MinibatchStddev, check_group_size
from ganforge.networks.layers.shapes import check_stages
from ganforge.networks.r3gan import stage_widths
from ganforge.networks.stylegan2_blocks import (
    DiscriminatorStage,
    FilteredConvolution,
    SynthesisStage,
    in_half_precision,
    precision,
)


class StyleGAN2Generator(Generator):
    """StyleGAN2 generator: a mapping network, modulated convolutions, and skip connections to RGB.

    Karras et al. 2020, arXiv:1912.04958. At 1024x1024x3 with the default widths it has the
    30,370,060 parameters of the authors' configuration F; at 256 with ``full_width`` 32 it has
    24,767,458; at 32 with 10 classes and two mapping layers 20,215,315 (arXiv:2006.06676). There is
    no tanh at the end; in evaluation images are clamped to [-1, 1].

    ``forward`` uses the constant noise maps, so its output is a function of z.

    Args:
        image_size: 8, 16, ... 1024.
        channels: 1 to 4.
        latent_dim: length of z.
        w_dim: length of w.
        mapping_layers: number of layers of the mapping network.
        learning_rate_multiplier: learning rate of the mapping network, relative to other layers.
        w_mean_decay: decay of the moving average of w, per update.
        width: channels from 4x4 up to the resolution ``full_width``; then halved at each doubling.
        full_width: largest resolution with ``width`` channels.
        grouped: compute weights per image and use a grouped convolution; otherwise scale inputs and
            outputs. The results are equal up to rounding; which one is faster depends on the
            device.
        half_stages: number of stages, largest first, that run in half precision if
            ``trainer.precision`` enables it.
        clamp: largest absolute value of a layer's output; None for no limit.
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none, or concatenation of their embedding with z.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        learning_rate_multiplier: float = 0.01,
        w_mean_decay: float = 0.995,
        width: int = 512,
        full_width: int = 64,
        grouped: bool = False,
        half_stages: int = 4,
        clamp: float | None = 256.0,
        num_classes: int = 0,
        conditioning: str = "none",
    ) -> None:
        _check("StyleGAN2Generator", image_size, width, full_width, half_stages, clamp)
        super().__init__(image_size, channels, latent_dim, num_classes, conditioning)
        if conditioning == "normalization":
            raise ConfigError(
                "StyleGAN2Generator: conditioning=normalization needs a norm, and styles take its "
                "place. Take condition=embedding, or condition=none"
            )
        widths = stage_widths(image_size, width, full_width)
        self.mapping = Mapping(
            latent_dim,
            w_dim,
            num_ws=2 * len(widths),
            layers=mapping_layers,
            num_classes=num_classes if conditioning == "concatenation" else 0,
            learning_rate_multiplier=learning_rate_multiplier,
            w_mean_decay=w_mean_decay,
        )
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        sides = [4 << stage for stage in range(len(widths))]
        self.stages = nn.ModuleList(
            SynthesisStage(
                below,
                wide,
                channels,
                w_dim,
                side,
                in_half_precision(side, image_size, half_stages),
                grouped,
                clamp,
            )
            for below, wide, side in zip([widths[0], *widths[:-1]], widths, sides, strict=True)
        )
        # One map at 4x4 and two at each larger size.
        self.noise_sides = [4, *(side for side in sides[1:] for _ in range(2))]

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] of latents [B, latent_dim], with the constant noise maps.

        They are in [-1, 1] in evaluation mode; in training mode they are not clamped.
        """
        return self.synthesize(self.mapping.broadcast(self.mapping(z, labels)))

    def synthesize(self, ws: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Returns images [B, C, H, W] of styles for each layer.

        The image layer of a stage uses the same style as the first layer of the next stage.

        Args:
            ws: [B, num_ws, w_dim].
            noise: a map [B or 1, 1, side, side] for each of ``noise_sides``; None uses the
                constant maps.
        """
        drawn = [None] * len(self.noise_sides) if noise is None else list(noise)
        features, image = self.constant.expand(len(ws), -1, -1, -1), None
        for index, stage in enumerate(self.stages):
            first, last = max(2 * index - 1, 0), 2 * index + 1
            features, image = stage(features, image, ws[:, first : last + 1], drawn[first:last])
        images = cast(Tensor, image)
        return images if self.training else images.clamp(-1, 1)


class StyleGAN2Discriminator(Discriminator):
    """StyleGAN2 discriminator: residual stages down to 4x4, minibatch stddev, two linear layers.

    Karras et al. 2020, arXiv:1912.04958. At 1024x1024x3 with the default widths it has the
    29,012,513 parameters of the authors' configuration F; at 256 with ``full_width`` 32 it has
    24,001,089; at 32 without residuals and with 10 classes 23,089,664 (arXiv:2006.06676). It has no
    normalization layers.

    Args:
        image_size: 8, 16, ... 1024.
        channels: 1 to 4.
        width: channels from 4x4 up to the resolution ``full_width``; then halved at each doubling.
        full_width: largest resolution with ``width`` channels.
        residual: add a convolved skip connection to each stage; the plain chain without it is
            better on CIFAR-10 (arXiv:2006.06676, appendix D).
        minibatch_stddev: group size of the minibatch standard deviation at 4x4; 0 for none.
        mapping_layers: number of fully connected layers of the label mapping, for a projection.
        half_stages: number of stages, largest first, that run in half precision if
            ``trainer.precision`` enables it.
        clamp: largest absolute value of a layer's output; None for no limit.
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none, concatenation or projection.
        auxiliary: lengths of the auxiliary outputs.
        packing: images per input (PacGAN, arXiv:1712.04086).
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int = 512,
        full_width: int = 64,
        residual: bool = True,
        minibatch_stddev: int = 4,
        mapping_layers: int = 8,
        half_stages: int = 4,
        clamp: float | None = 256.0,
        num_classes: int = 0,
        conditioning: str = "none",
        auxiliary: Sequence[int] = (),
        packing: int = 1,
    ) -> None:
        _check("StyleGAN2Discriminator", image_size, width, full_width, half_stages, clamp)
        check_group_size("StyleGAN2Discriminator", minibatch_stddev)
        super().__init__(image_size, channels, num_classes, conditioning, auxiliary, packing)
        widths = stage_widths(image_size, width, full_width)[::-1]
        planes = num_classes if conditioning == "concatenation" else 0
        self.from_image = FilteredConvolution(self.inputs + planes, widths[0], 1, clamp=clamp)
        self.stages = nn.ModuleList(
            DiscriminatorStage(
                wide,
                narrow,
                residual,
                in_half_precision(image_size >> index, image_size, half_stages),
                clamp,
            )
            for index, (wide, narrow) in enumerate(itertools.pairwise(widths))
        )
        last = widths[-1]
        self.spread = MinibatchStddev(minibatch_stddev) if minibatch_stddev > 0 else nn.Identity()
        beside = 1 if minibatch_stddev > 0 else 0
        self.mix = FilteredConvolution(last + beside, last, 3, clamp=clamp)
        self.dense = EqualizedLinear(last * 16, last, gain=HE_GAIN)
        projection = conditioning == "projection"
        self.head = MappedProjection(
            last, num_classes, projection, self.auxiliary_sizes, mapping_layers
        )

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns features [B, F] of images [B, packing * C, H, W]; F is the channels at 4x4."""
        if self.conditioning == "concatenation":
            images = with_label_planes(images, labels, self.num_classes)
        device = images.device.type
        first = cast(DiscriminatorStage, self.stages[0])
        with precision(device, first.half_precision):
            features = self.from_image(images)
        for stage in self.stages:
            features = stage(features)
        with precision(device, half=False):
            features = features.to(self.dense.weight.dtype)
            dense: Tensor = self.dense(self.mix(self.spread(features)).flatten(1))
            return F.leaky_relu(dense, 0.2)


def _check(
    name: str,
    image_size: int,
    width: int,
    full_width: int,
    half_stages: int,
    clamp: float | None,
) -> None:
    check_stages(name, image_size, width, full_width)
    if half_stages < 0:
        raise ConfigError(f"{name}: half_stages must be at least 0, got {half_stages}")
    if clamp is not None and not clamp > 0:
        raise ConfigError(f"{name}: clamp must be above 0 or null, got {clamp}")
