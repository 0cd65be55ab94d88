from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.blocks import down_block
from ganforge.networks.layers.initialization import initialize_normal
from ganforge.networks.layers.normalization import (
    check_translation_norm,
    has_bias,
    translation_normalization,
)
from ganforge.networks.layers.shapes import check_at_least, check_fraction, doubling_widths
from ganforge.networks.translator import Translator, dropout_layers

# Maximum number of up blocks with dropout, innermost first (arXiv:1611.07004, section 6.1.1).
DROPPED = 3


class UNetTranslator(Translator):
    """U-Net of Pix2Pix: an encoder that halves the image, a decoder, and skip connections.

    Isola et al. 2017, arXiv:1611.07004, section 6.1. At 256x256 RGB it is the original network,
    with 54,413,955 parameters. It behaves the same in training and evaluation: dropout stays
    active, and batch norm uses the statistics of the current batch.

    Args:
        image_size: side of the training images, which limits the depth. Images of other sizes can
            be translated too, if their sides are multiples of 2^depth.
        in_channels: C of the input images.
        out_channels: C of the output images.
        width: channels at half the size; they double with each halving.
        max_width: maximum channels of a layer, not counting those added by a skip connection.
        depth: number of halvings; None for log2(image_size), at most 8.
        norm: batch, instance or none. The first, the innermost and the last convolution have none.
        dropout: dropout probability of the innermost up blocks that keep their width (one to three
            blocks).
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        max_width: int = 512,
        depth: int | None = None,
        norm: str = "batch",
        dropout: float = 0.5,
    ) -> None:
        check_at_least("UNetTranslator", 1, width=width, max_width=max_width)
        check_translation_norm("UNetTranslator", norm)
        check_fraction("UNetTranslator", dropout=dropout)
        depth = unet_depth(image_size, depth)
        stochastic = norm == "batch" or (dropout > 0 and depth > 1)
        super().__init__(in_channels, out_channels, 2**depth, stochastic)
        widths = doubling_widths(depth, width, max_width)
        self.down = nn.ModuleList()
        for level, (a, b) in enumerate(itertools.pairwise([in_channels, *widths])):
            norms = [] if level in (0, depth - 1) else translation_normalization(norm, b)
            self.down.append(down_block(a, b, norms, has_bias(norm)))
        # Input channels of the up blocks: all except the innermost also read a skip connection.
        read = [2 * channels for channels in widths[:-1]] + widths[-1:]
        dropped = dropped_blocks(widths)
        self.up = nn.ModuleList()
        for level in range(depth - 1, 0, -1):
            noise = dropout if depth - 1 - level < dropped else 0.0
            self.up.append(_up_block(read[level], widths[level - 1], norm, noise))
        self.to_image = nn.ConvTranspose2d(read[0], out_channels, 4, 2, 1)
        initialize_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """Returns images [B, C', H, W] in [-1, 1] of images [B, C, H, W] in [-1, 1]."""
        self.check_sides(*images.shape[-2:])
        features = images
        skips: list[Tensor] = []
        for block in self.down:
            features = block(features)
            skips.append(features)
        # Skips are taken after LeakyReLU. This is equivalent: ReLU(LeakyReLU(x)) = ReLU(x).
        features = F.relu(skips.pop())
        for block in self.up:
            features = F.relu(torch.cat([skips.pop(), block(features)], dim=1), inplace=True)
        return torch.tanh(self.to_image(features))


def unet_depth(image_size: int, depth: int | None) -> int:
    """Returns the number of halvings; raises ConfigError if the image cannot be halved so often.

    Args:
        image_size: side of the image.
        depth: requested depth; None for log2(image_size), rounded down, at most 8.
    """
    if image_size < 2:
        raise ConfigError(f"UNetTranslator: image_size must be at least 2, got {image_size}")
    halvings = (image_size & -image_size).bit_length() - 1
    requested = min(image_size.bit_length() - 1, 8) if depth is None else depth
    if 1 <= requested <= halvings:
        return requested
    setting = f"depth {depth}" if depth is not None else f"depth null (here {requested})"
    legal = f"1 to {halvings}" if halvings > 1 else "1" if halvings else "none"
    advice = ""
    if requested > halvings:
        step = 2**requested
        nearest = max(step, round(image_size / step) * step)
        advice = f"; data.image_size={nearest} is the nearest that can be halved {requested} times"
    raise ConfigError(
        f"UNetTranslator: {setting} does not fit image_size {image_size}; "
        f"legal depths: {legal}{advice}"
    )


def dropped_blocks(widths: list[int]) -> int:
    """Returns the number of up blocks with dropout, counted from the innermost.

    These are the blocks that keep their width, at most :data:`DROPPED`, and at least one, so that a
    shallow network has noise too.
    """
    constant = sum(a == b for a, b in itertools.pairwise(widths))
    return max(1, min(constant, DROPPED))


def _up_block(channels_in: int, channels_out: int, norm: str, dropout: float) -> nn.Sequential:
    """Doubles the size: [B, C, H, W] -> [B, C', 2H, 2W], before the ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1, bias=has_bias(norm)),
        *translation_normalization(norm, channels_out),
        *dropout_layers(dropout),
    )
