from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from ganforge.networks.generator import GeneratorArguments
from ganforge.networks.layers.checkpointing import Checkpointed, set_checkpointing
from ganforge.networks.layers.equalized import HE_GAIN, EqualizedConv2d, EqualizedLinear
from ganforge.networks.layers.progressive import Growing, GrowthLevel, double
from ganforge.networks.layers.shapes import check_at_least
from ganforge.networks.layers.styles import Mapping, NoiseInput
from ganforge.networks.layers.upfirdn2d import Downsample, Upsample
from ganforge.networks.pggan import (
    HalvingBlock,
    PGGANDiscriminator,
    PGGANDiscriminatorArguments,
    activated,
)
from ganforge.networks.staged import StagedGenerator

# Keeps the gradient finite for a constant map.
EPSILON = 1e-8


class StyleArguments(GeneratorArguments, total=False):
    """Arguments of StyleGenerator, except the shape of images and ``full_width``."""

    latent_dim: int
    w_dim: int
    mapping_layers: int
    learning_rate_multiplier: float
    w_mean_decay: float
    width: int
    checkpointing: bool


class StyleGenerator(StagedGenerator):
    """Base class of generators with a mapping network, and two styles for each stage.

    ``forward`` uses the constant noise maps, so its output is a function of z. There is no tanh at
    the end; in evaluation images are clamped to [-1, 1].

    Args:
        image_size: side of the full images: 8, 16, ... 1024.
        channels: 1 to 4.
        full_width: largest resolution with ``width`` channels.
        latent_dim: length of z.
        w_dim: length of w.
        mapping_layers: number of layers of the mapping network.
        learning_rate_multiplier: learning rate of the mapping network, relative to other layers.
        w_mean_decay: decay of the moving average of w, per update.
        width: channels from 4x4 up to the resolution ``full_width``; then halved at each doubling.
        checkpointing: recompute the activations of each stage in the backward pass, which saves
            memory and costs time; see
            :class:`~ganforge.networks.layers.checkpointing.Checkpointed`.
        **labels: see Generator; the label embedding is concatenated with z.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        full_width: int,
        latent_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        learning_rate_multiplier: float = 0.01,
        w_mean_decay: float = 0.995,
        width: int = 512,
        checkpointing: bool = False,
        **labels: Unpack[GeneratorArguments],
    ) -> None:
        super().__init__(image_size, channels, latent_dim, width, full_width, **labels)
        self.checkpointing = checkpointing
        self.refuse_conditional_norms("styles take its place: gains are those of the styles")
        self.mapping = Mapping(
            latent_dim,
            w_dim,
            num_ws=2 * len(self.widths),
            layers=mapping_layers,
            num_classes=self.label_dim,
            learning_rate_multiplier=learning_rate_multiplier,
            w_mean_decay=w_mean_decay,
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] of latents [B, latent_dim], with the constant noise maps.

        They are in [-1, 1] in evaluation mode; in training mode they are not clamped.
        """
        return self.synthesize(self.mapping.broadcast(self.mapping(z, labels)))

    def synthesize(self, ws: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Returns images [B, C, H, W] of styles [B, num_ws, w_dim] and noise maps."""
        raise NotImplementedError


class StyleGANGenerator(Growing, StyleGenerator):
    """StyleGAN generator: a mapping network, and synthesis from a learned constant with AdaIN.

    Karras et al. 2019, arXiv:1812.04948. At 1024x1024x3 with the default widths it is the paper's
    network, with 26.2 million parameters (section 2; 26,219,627). It generates images of the
    current level of growth; each size has two layers with a style each.

    Args:
        image_size: side of the full images: 8, 16, ... 1024.
        channels: 1 to 4.
        full_width: largest resolution with ``width`` channels.
        **styles: see StyleGenerator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        *,
        full_width: int = 32,
        **styles: Unpack[StyleArguments],
    ) -> None:
        super().__init__(image_size, channels, full_width, **styles)
        widths = self.widths
        self.level = GrowthLevel(len(widths) - 1)
        self.constant = nn.Parameter(torch.ones(1, widths[0], 4, 4))
        self.stages = nn.ModuleList(
            SynthesisStage(widths[max(stage - 1, 0)], wide, stage, self.mapping.w_dim)
            for stage, wide in enumerate(widths)
        )
        set_checkpointing(self.stages, self.checkpointing)
        self.to_image = nn.ModuleList(EqualizedConv2d(wide, channels, 1) for wide in widths)

    @property
    def noise_sides(self) -> list[int]:
        """Sides of the noise maps at the current level, one for each layer."""
        return [4 << layer // 2 for layer in range(2 * self.level.stage + 2)]

    def synthesize(self, ws: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Returns images [B, C, H, W] of styles for each layer.

        Args:
            ws: [B, num_ws, w_dim]; styles of layers above the current level are ignored.
            noise: a map [B or 1, 1, side, side] for each of ``noise_sides``; None uses the
                constant maps.
        """
        features = below = self.constant.expand(len(ws), -1, -1, -1)
        for stage in range(self.level.stage + 1):
            below = features
            layers = slice(2 * stage, 2 * stage + 2)
            maps = (None, None) if noise is None else tuple(noise[layers])
            features = self.stages[stage](features, ws[:, layers], maps)
        last = self.level.stage
        images: Tensor = self.to_image[last](features)
        if self.level.fading:
            images = self.level.fade(double(self.to_image[last - 1](below)), images)
        return self.finish(images)


class StyleGANDiscriminator(PGGANDiscriminator):
    """PGGAN discriminator with bilinear downsampling: smoothing before halving.

    Karras et al. 2019, arXiv:1812.04948, section 2, config B. At 1024x1024x3 with the default
    widths it has the 23.1 million parameters of arXiv:1710.10196.

    Args:
        image_size: side of the full images: 8, 16, ... 1024.
        channels: 1 to 4.
        checkpointing: recompute the activations of each block in the backward pass.
        **arguments: see PGGANDiscriminator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        checkpointing: bool = False,
        **arguments: Unpack[PGGANDiscriminatorArguments],
    ) -> None:
        super().__init__(image_size, channels, **arguments)
        self.blocks = nn.ModuleList(map(SmoothHalvingBlock, self.widths[1:], self.widths[:-1]))
        set_checkpointing(self.blocks, checkpointing)


def adain(features: Tensor, gain: Tensor, shift: Tensor, eps: float = EPSILON) -> Tensor:
    """Returns  gain (x - mean(x)) / std(x) + shift,  with statistics of each map [H, W].

    Adaptive instance normalization: Huang & Belongie 2017, arXiv:1703.06868; equation 1 of Karras
    et al. 2019, arXiv:1812.04948. The result has mean ``shift`` and standard deviation ``|gain|``
    in each map.

    Args:
        features: x, [B, C, H, W].
        gain: [B, C].
        shift: [B, C].
        eps: added to the variance.
    """
    # Computed in float32: in half precision squares overflow and eps underflows to 0.
    wide = features.float() if features.element_size() < 4 else features
    centered = wide - wide.mean(dim=(2, 3), keepdim=True)
    # On the CPU, torch.var_mean takes several times as long.
    variance = centered.square().mean(dim=(2, 3), keepdim=True)
    gain, shift = (style[:, :, None, None].to(wide) for style in (gain, shift))
    return (centered * ((variance + eps).rsqrt() * gain) + shift).to(features.dtype)


class AdaIN(nn.Module):
    """AdaIN with gains and shifts from a style: a learned affine map of w.

    Karras et al. 2019, arXiv:1812.04948, section 2. Gains start near 1 and shifts near 0
    (appendix C).

    Args:
        channels: C.
        w_dim: length of the style.
    """

    def __init__(self, channels: int, w_dim: int) -> None:
        super().__init__()
        check_at_least("AdaIN", 1, channels=channels, w_dim=w_dim)
        self.affine = EqualizedLinear(w_dim, 2 * channels)

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W] and styles [B, w_dim]."""
        gain, shift = self.affine(w).chunk(2, dim=1)
        return adain(features, 1 + gain, shift)


class StyledLayer(nn.Module):
    """Applies a module, then noise, bias, leaky ReLU and AdaIN. A stage has two such layers.

    Karras et al. 2019, arXiv:1812.04948, figure 1b. The module is a convolution without bias, or
    the identity; ``layer`` is the index of the layer in the network.
    """

    def __init__(self, before: nn.Module, channels: int, side: int, w_dim: int, layer: int) -> None:
        super().__init__()
        self.before = before
        self.noise = NoiseInput(channels, side, layer)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = AdaIN(channels, w_dim)

    def forward(self, features: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """Returns [B, C, side, side] of features, styles [B, w_dim] and noise maps."""
        features = self.noise(self.before(features), noise)
        features = activated(features + self.bias.view(1, -1, 1, 1).to(features))
        styled: Tensor = self.style(features, w)
        return styled


class SynthesisStage(Checkpointed):
    """Synthesis stage: bilinear upsampling by 2 and two styled 3x3 convolutions.

    Stage 0 is 4x4; it has no upsampling, and one convolution of the learned constant.
    """

    def __init__(self, channels_in: int, channels: int, stage: int, w_dim: int) -> None:
        super().__init__()
        side = 4 << stage
        first: nn.Module = nn.Identity()
        if stage > 0:
            first = nn.Sequential(Upsample(), _convolution(channels_in, channels))
        self.first = StyledLayer(first, channels, side, w_dim, 2 * stage)
        second = _convolution(channels, channels)
        self.second = StyledLayer(second, channels, side, w_dim, 2 * stage + 1)

    def forward(
        self, features: Tensor, ws: Tensor, noise: tuple[Tensor | None, Tensor | None]
    ) -> Tensor:
        """Returns [B, C, side, side] of features, styles ws [B, 2, w_dim] and two noise maps."""
        features = self.first(features, ws[:, 0], noise[0])
        styled: Tensor = self.second(features, ws[:, 1], noise[1])
        return styled


class SmoothHalvingBlock(HalvingBlock):
    """Downsampling block of PGGAN's discriminator, with smoothing before the downsampling.

    Karras et al. 2019, arXiv:1812.04948, section 2: a [1, 2, 1] filter before 2x2 mean pooling;
    the last leaky ReLU follows the pooling.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.halve = Downsample()

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C', H/2, W/2] of features [B, C, H, W]."""
        return activated(self.halve(self.second(activated(self.first(features)))))


def _convolution(channels_in: int, channels: int) -> EqualizedConv2d:
    return EqualizedConv2d(channels_in, channels, 3, bias=False, gain=HE_GAIN)
