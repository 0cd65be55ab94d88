from __future__ import annotations

import torch
from torch import Tensor, nn

from ganforge.networks.layers.adain import AdaIN
from ganforge.networks.layers.equalized import HE_GAIN, EqualizedConv2d
from ganforge.networks.layers.noise_input import NoiseInput
from ganforge.networks.layers.resampling import Downsample, Upsample
from ganforge.networks.pggan_blocks import HalvingBlock, activated


class StyledLayer(nn.Module):
    """Applies a module, then noise, bias, leaky ReLU and AdaIN. A stage has two such layers.

    Karras et al. 2019, arXiv:1812.04948, figure 1b.

    Args:
        before: module that computes the features: a convolution without bias, or the identity.
        channels: C of its outputs.
        side: H and W of its outputs.
        w_dim: length of the style.
        layer: index of the layer in the network.
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


class SynthesisStage(nn.Module):
    """Synthesis stage: bilinear upsampling by 2 and two styled 3x3 convolutions.

    The first stage is 4x4; it has no upsampling, and one convolution of the learned constant.

    Args:
        channels_in: C of the stage below, or of the constant.
        channels: C of this stage.
        stage: 0 for 4x4, 1 for 8x8, ...
        w_dim: length of a style.
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

    Args:
        channels_in: C.
        channels_out: C'.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.halve = Downsample()

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C', H/2, W/2] of features [B, C, H, W]."""
        return activated(self.halve(self.second(activated(self.first(features)))))


def _convolution(channels_in: int, channels: int) -> EqualizedConv2d:
    return EqualizedConv2d(channels_in, channels, 3, bias=False, gain=HE_GAIN)
