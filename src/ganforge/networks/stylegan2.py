from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Unpack, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.discriminator import DiscriminatorArguments
from ganforge.networks.layers.checkpointing import set_checkpointing
from ganforge.networks.layers.equalized import HE_GAIN, EqualizedLinear
from ganforge.networks.layers.head import Head
from ganforge.networks.layers.labels import one_hot
from ganforge.networks.layers.minibatch_stddev import MinibatchStddev, check_group_size
from ganforge.networks.layers.normalization import pixel_norm
from ganforge.networks.layers.shapes import check_at_least
from ganforge.networks.layers.styles import apply_layers, dense_layers
from ganforge.networks.staged import StagedDiscriminator
from ganforge.networks.stylegan import StyleArguments, StyleGenerator
from ganforge.networks.stylegan2_blocks import (
    DiscriminatorStage,
    FilteredConvolution,
    SynthesisStage,
    in_half_precision,
    precision,
)


class StyleGAN2Generator(StyleGenerator):
    """StyleGAN2 generator: a mapping network, modulated convolutions, and skip connections to RGB.

    Karras et al. 2020, arXiv:1912.04958. At 1024x1024x3 with the default widths it has the
    30,370,060 parameters of the authors' configuration F; at 256 with ``full_width`` 32 it has
    24,767,458; at 32 with 10 classes and two mapping layers 20,215,315 (arXiv:2006.06676). There is
    no tanh at the end; in evaluation images are clamped to [-1, 1].

    Args:
        image_size: 8, 16, ... 1024.
        channels: 1 to 4.
        full_width: largest resolution with ``width`` channels.
        grouped: compute weights per image and use a grouped convolution; otherwise scale inputs and
            outputs. The results are equal up to rounding; which one is faster depends on the
            device.
        half_stages: number of stages, largest first, that run in half precision if
            ``trainer.precision`` enables it.
        clamp: largest absolute value of a layer's output; None for no limit.
        **styles: see StyleGenerator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        *,
        full_width: int = 64,
        grouped: bool = False,
        half_stages: int = 4,
        clamp: float | None = 256.0,
        **styles: Unpack[StyleArguments],
    ) -> None:
        _check("StyleGAN2Generator", half_stages, clamp)
        super().__init__(image_size, channels, full_width, **styles)
        widths = self.widths
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        sides = [4 << stage for stage in range(len(widths))]
        self.stages = nn.ModuleList(
            SynthesisStage(
                below,
                wide,
                channels,
                side,
                in_half_precision(side, image_size, half_stages),
                w_dim=self.mapping.w_dim,
                grouped=grouped,
                clamp=clamp,
            )
            for below, wide, side in zip([widths[0], *widths[:-1]], widths, sides, strict=True)
        )
        set_checkpointing(self.stages, self.checkpointing)
        # One map at 4x4 and two at each larger size.
        self.noise_sides = [4, *(side for side in sides[1:] for _ in range(2))]

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
        return self.finish(images)


class StyleGAN2Discriminator(StagedDiscriminator):
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
        checkpointing: recompute the activations of each stage in the backward pass.
        **arguments: see Discriminator.
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
        checkpointing: bool = False,
        **arguments: Unpack[DiscriminatorArguments],
    ) -> None:
        _check("StyleGAN2Discriminator", half_stages, clamp)
        check_group_size("StyleGAN2Discriminator", minibatch_stddev)
        super().__init__(image_size, channels, width, full_width, **arguments)
        widths = self.widths[::-1]
        self.from_image = FilteredConvolution(self.input_channels, widths[0], 1, clamp=clamp)
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
        set_checkpointing(self.stages, checkpointing)
        last = widths[-1]
        self.spread = MinibatchStddev(minibatch_stddev) if minibatch_stddev > 0 else nn.Identity()
        appended = 1 if minibatch_stddev > 0 else 0
        self.mix = FilteredConvolution(last + appended, last, 3, clamp=clamp)
        self.dense = EqualizedLinear(last * 16, last, gain=HE_GAIN)
        self.head = self.make_head(last, partial(MappedProjection, mapping_layers=mapping_layers))

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns features [B, F] of images [B, packing * C, H, W]; F is the channels at 4x4."""
        device = images.device.type
        first = cast(DiscriminatorStage, self.stages[0])
        with precision(device, first.half_precision):
            features = self.from_image(self.join_labels(images, labels))
        for stage in self.stages:
            features = stage(features)
        with precision(device, half=False):
            features = features.to(self.dense.weight.dtype)
            dense: Tensor = self.dense(self.mix(self.spread(features)).flatten(1))
            return F.leaky_relu(dense, 0.2)


class LabelMapping(nn.Module):
    """Maps labels to vectors: a normalized embedding, then fully connected layers.

    Like the generator's mapping network (Karras et al. 2020, arXiv:2006.06676), without a latent.
    """

    def __init__(self, num_classes: int, dim: int, layers: int = 8) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding = EqualizedLinear(num_classes, dim)
        self.layers = dense_layers(dim, dim, layers)

    def forward(self, labels: Tensor) -> Tensor:
        """Returns [B, dim] of labels, int64 [B]."""
        code = one_hot(labels, self.num_classes, self.embedding.weight)
        return apply_layers(self.layers, pixel_norm(self.embedding(code)))


class MappedProjection(Head):
    """Head that returns the inner product of mapped labels and projected features.

    Karras et al. 2020, arXiv:2006.06676, after Miyato & Koyama 2018, arXiv:1802.05637. The product
    is divided by sqrt(F), which keeps the scale of a single term. Without projection it is a linear
    layer. It is computed in full precision.
    """

    logit: EqualizedLinear

    def __init__(
        self,
        feature_dim: int,
        num_classes: int = 0,
        projection: bool = False,
        auxiliary: Sequence[int] = (),
        mapping_layers: int = 8,
    ) -> None:
        super().__init__(feature_dim, auxiliary=auxiliary)
        self.logit = EqualizedLinear(feature_dim, feature_dim if projection else 1)
        # Takes the place of the label embedding of the base class.
        self.mapping = (
            LabelMapping(num_classes, feature_dim, mapping_layers) if projection else None
        )

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns raw logits [B] of features [B, F]; ``labels`` [B] int64 for a projection."""
        with torch.autocast(features.device.type, enabled=False):
            projected: Tensor = self.logit(features.to(self.logit.weight.dtype))
            if self.mapping is None:
                return projected.squeeze(1)
            if labels is None:
                raise ConfigError("a projection discriminator needs the labels of its images")
            similar: Tensor = (projected * self.mapping(labels)).sum(dim=1)
            return similar / math.sqrt(self.feature_dim)


def _check(name: str, half_stages: int, clamp: float | None) -> None:
    check_at_least(name, 0, half_stages=half_stages)
    if clamp is not None and not clamp > 0:
        raise ConfigError(f"{name}: clamp must be above 0 or null, got {clamp}")
