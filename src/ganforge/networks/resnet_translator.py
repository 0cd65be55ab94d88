from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.initialization import initialize_normal
from ganforge.networks.layers.normalization import (
    check_translation_norm,
    has_bias,
    translation_normalization,
)
from ganforge.networks.layers.shapes import check_at_least, check_fraction
from ganforge.networks.translator import Translator, dropout_layers


class ResNetTranslator(Translator):
    """Generator of CycleGAN: downsampling to a quarter, residual blocks, upsampling.

    c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3, with reflection padding: Zhu et al. 2017,
    arXiv:1703.10593, after Johnson et al. 2016, arXiv:1603.08155. With 9 blocks and RGB it is the
    original network, with 11,378,179 parameters.

    Args:
        in_channels: C of the input images.
        out_channels: C of the output images.
        width: channels at full resolution; the residual blocks have 4 times as many.
        blocks: number of residual blocks; None for the paper's choice: 6 for an ``image_size`` of
            up to 128 pixels, otherwise 9.
        norm: instance, batch (batch statistics also in evaluation) or none.
        dropout: dropout probability in the residual blocks, also applied in evaluation.
        image_size: side of the training images, a multiple of 4; selects ``blocks`` if that is
            None. Images of other sizes can be translated too.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        blocks: int | None = 9,
        norm: str = "instance",
        dropout: float = 0.0,
        image_size: int | None = None,
    ) -> None:
        check_translation_norm("ResNetTranslator", norm)
        check_fraction("ResNetTranslator", dropout=dropout)
        blocks = published_blocks(image_size) if blocks is None else blocks
        check_at_least("ResNetTranslator", 1, width=width, blocks=blocks)
        # Below 8 pixels the inner features are a single position, which cannot be reflected.
        super().__init__(in_channels, out_channels, 4, norm == "batch" or dropout > 0, smallest=8)
        if image_size is not None:
            self.check_sides(image_size, image_size)
        self.from_image = nn.Sequential(
            ReflectedConvolution(in_channels, width, 7, has_bias(norm)), *_norm_relu(norm, width)
        )
        self.down = nn.Sequential(_down_block(width, norm), _down_block(2 * width, norm))
        self.residual = nn.Sequential(
            *(ReflectedResidualBlock(4 * width, norm, dropout) for _ in range(blocks))
        )
        self.up = nn.Sequential(_up_block(4 * width, norm), _up_block(2 * width, norm))
        self.to_image = ReflectedConvolution(width, out_channels, 7, bias=True)
        initialize_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """Returns images [B, C', H, W] in [-1, 1] of images [B, C, H, W] in [-1, 1]."""
        self.check_sides(*images.shape[-2:])
        features = self.residual(self.down(self.from_image(images)))
        return torch.tanh(self.to_image(self.up(features)))


class ReflectedConvolution(nn.Conv2d):
    """Size-preserving convolution with reflection padding.

    Johnson et al. 2016, arXiv:1603.08155: zero padding causes artefacts at the border.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, kernel_size, bias=bias)
        self.border = kernel_size // 2

    def forward(self, input: Tensor) -> Tensor:
        """Returns [B, C', H, W] of features [B, C, H, W]; H and W above kernel_size // 2."""
        return super().forward(reflect(input, self.border))


def reflect(features: Tensor, border: int) -> Tensor:
    """Returns [B, C, H + 2 border, W + 2 border], mirrored at the centers of the border pixels."""
    # On a GPU the backward of F.pad's reflection sums in no fixed order, and PyTorch raises an
    # error for it with trainer.deterministic=true.
    if torch.are_deterministic_algorithms_enabled() and features.is_cuda:
        return reflect_in_order(features, border)
    return F.pad(features, (border, border, border, border), mode="reflect")


def reflect_in_order(features: Tensor, border: int) -> Tensor:
    """Returns the same as :func:`reflect`, with a bit-reproducible gradient."""
    for axis in (-1, -2):
        length = features.shape[axis]
        before = features.narrow(axis, 1, border).flip(axis)
        after = features.narrow(axis, length - 1 - border, border).flip(axis)
        features = torch.cat([before, features, after], dim=axis)
    return features


class ReflectedResidualBlock(nn.Module):
    """Residual block x + f(x): two 3x3 convolutions with norms, a ReLU only between them."""

    def __init__(self, channels: int, norm: str, dropout: float = 0.0) -> None:
        super().__init__()
        self.change = nn.Sequential(
            ReflectedConvolution(channels, channels, 3, has_bias(norm)),
            *_norm_relu(norm, channels),
            *dropout_layers(dropout),
            ReflectedConvolution(channels, channels, 3, has_bias(norm)),
            *translation_normalization(norm, channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W]."""
        changed: Tensor = features + self.change(features)
        return changed


def published_blocks(image_size: int | None) -> int:
    """Returns the paper's number of residual blocks: 6 up to 128 pixels, otherwise 9."""
    if image_size is None:
        raise ConfigError("ResNetTranslator: blocks=null requires image_size, got None")
    return 6 if image_size <= 128 else 9


def _norm_relu(norm: str, channels: int) -> list[nn.Module]:
    return [*translation_normalization(norm, channels), nn.ReLU(inplace=True)]


def _down_block(channels: int, norm: str) -> nn.Sequential:
    """Halves the size and doubles the channels: [B, C, H, W] -> [B, 2C, H/2, W/2]."""
    return nn.Sequential(
        nn.Conv2d(channels, 2 * channels, 3, 2, 1, bias=has_bias(norm)),
        *_norm_relu(norm, 2 * channels),
    )


def _up_block(channels: int, norm: str) -> nn.Sequential:
    """Doubles the size and halves the channels: [B, C, H, W] -> [B, C/2, 2H, 2W]."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, 1, bias=has_bias(norm)),
        *_norm_relu(norm, channels // 2),
    )
