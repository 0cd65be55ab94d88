from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganforge.networks.layers.shapes import check_at_least, check_choice
from ganforge.streams import Noise, Stream, mix

MODES = ("const", "random", "none")


class NoiseInput(nn.Module):
    """Adds a noise map to all channels, scaled by a learned factor per channel.

    Karras et al. 2019, arXiv:1812.04948, section 2: stochastic detail (the placement of single
    hairs) then needs no capacity in the latents. Factors start at 0 (appendix C).

    The layer draws no random numbers: the map is an input. Without one it uses a constant map, the
    same for all images, runs and devices, which is not saved in checkpoints.

    Args:
        channels: C.
        side: H and W of the features.
        layer: index of the layer; each layer has a different constant map.
    """

    constant: Tensor

    def __init__(self, channels: int, side: int, layer: int = 0) -> None:
        super().__init__()
        check_at_least("NoiseInput", 1, channels=channels, side=side)
        self.side = side
        self.scale = nn.Parameter(torch.zeros(channels))
        # Drawn on the CPU, whose generator gives the same numbers on every machine.
        generator = torch.Generator().manual_seed(mix(Stream.CONSTANT_NOISE, layer, side))
        constant = torch.randn(1, 1, side, side, generator=generator, device="cpu")
        self.register_buffer("constant", constant.to(self.scale.device), persistent=False)

    def forward(self, features: Tensor, noise: Tensor | None = None) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W] and maps [B or 1, 1, H or 1, W or 1]."""
        drawn = self.constant if noise is None else noise
        return features + self.scale.view(1, -1, 1, 1).to(features) * drawn.to(features)


def noise_maps(noise: Noise, sides: Sequence[int], mode: str) -> list[Tensor] | None:
    """Returns a map for each noise input, or None for the constant maps.

    Args:
        noise: random draws, one row for each image.
        sides: sides of the maps, layer by layer.
        mode: "random": drawn for each image; "const": the layers' constant maps for all images;
            "none": zeros, which leave the features unchanged.
    """
    check_mode("noise_maps", mode)
    if mode == "const":
        return None
    if mode == "none":
        return [torch.zeros(1, 1, 1, 1, device=noise.device) for _ in sides]
    return [noise.normal(1, side, side) for side in sides]


def check_mode(name: str, mode: str) -> None:
    """Raises ConfigError for an unknown kind of noise."""
    check_choice(name, MODES, noise=mode)
