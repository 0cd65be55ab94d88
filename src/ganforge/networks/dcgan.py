from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from ganforge.networks.convolution_blocks import down_block, up_block
from ganforge.networks.initialization import initialize_normal
from ganforge.networks.normalization import check_norm, normalization
from ganforge.networks.shapes import check_channels, check_positive, check_power_of_two
from ganforge.networks.spectral_normalization import normalize_spectrum


def feature_widths(image_size: int, width: int, max_width: int) -> list[int]:
    """Returns the channels at resolutions image_size / 2 down to 4: doubling, up to ``max_width``.

    At 64 and width 64: 64, 128, 256, 512.
    """
    levels = image_size.bit_length() - 3
    return [min(width << level, max_width) for level in range(levels)]


class DCGANGenerator(nn.Module):
    """Project and reshape to 4x4, then transposed convolutions that double up to the image.

    Radford et al. 2015, arXiv:1511.06434: norm + ReLU in every layer, tanh at the end. At 64x64x3
    with width 64 it is the original, of 3,576,704 parameters.

    Args:
        image_size: 16, 32, 64, 128 or 256.
        channels: 1 to 4.
        latent_dim: length of z.
        width: channels at half the image's size (ngf); they double with each halving.
        max_width: no layer has more channels, so that 256x256 still fits.
        norm: batch, instance, layer or none.
        spectral_norm: normalize the weights' spectra (Miyato et al. 2018, arXiv:1802.05957).
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 100,
        width: int = 64,
        max_width: int = 512,
        norm: str = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        _check("DCGANGenerator", image_size, channels, width, max_width, norm)
        check_positive("DCGANGenerator", "latent_dim", latent_dim)
        self.image_size = image_size
        self.channels = channels
        self.latent_dim = latent_dim
        widths = feature_widths(image_size, width, max_width)[::-1]
        self.project = nn.Linear(latent_dim, widths[0] * 16, bias=norm == "none")
        self.start = nn.Sequential(*normalization(norm, widths[0]), nn.ReLU(inplace=True))
        self.up = nn.Sequential(*(up_block(a, b, norm) for a, b in itertools.pairwise(widths)))
        self.to_image = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=norm == "none")
        initialize_normal(self)
        if spectral_norm:
            normalize_spectrum(self)

    def forward(self, z: Tensor) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1] of latents [B, latent_dim]."""
        features = self.project(z).unflatten(1, (-1, 4, 4))
        return torch.tanh(self.to_image(self.up(self.start(features))))


class DCGANDiscriminator(nn.Module):
    """Strided convolutions down to 4x4, then one that sees it all.

    Radford et al. 2015, arXiv:1511.06434: LeakyReLU 0.2, no norm in the first layer. At 64x64x3
    with width 64 it is the original, of 2,765,568 parameters.

    Args:
        image_size: 16, 32, 64, 128 or 256.
        channels: 1 to 4.
        width: channels of the first layer (ndf); they double with each halving of the image.
        max_width: no layer has more channels, so that 256x256 still fits.
        norm: batch, instance, layer or none.
        spectral_norm: normalize the weights' spectra (Miyato et al. 2018, arXiv:1802.05957).
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int = 64,
        max_width: int = 512,
        norm: str = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        _check("DCGANDiscriminator", image_size, channels, width, max_width, norm)
        self.image_size = image_size
        self.channels = channels
        widths = feature_widths(image_size, width, max_width)
        # The original has no bias in any convolution; without norms there is nothing to shift
        # features with, so then all have one.
        bias = norm == "none"
        self.from_image = down_block(channels, widths[0], "none", bias)
        self.down = nn.Sequential(
            *(down_block(a, b, norm, bias) for a, b in itertools.pairwise(widths))
        )
        self.judge = nn.Conv2d(widths[-1], 1, 4, bias=bias)
        initialize_normal(self)
        if spectral_norm:
            normalize_spectrum(self)

    def forward(self, images: Tensor) -> Tensor:
        """Returns raw logits [B] of images [B, C, H, W] in [-1, 1]."""
        logits: Tensor = self.judge(self.down(self.from_image(images)))
        return logits.view(len(images))


def _check(
    name: str, image_size: int, channels: int, width: int, max_width: int, norm: str
) -> None:
    check_power_of_two(name, image_size, 16, 256)
    check_channels(name, channels)
    check_positive(name, "width", width)
    check_positive(name, "max_width", max_width)
    check_norm(name, norm)
