"""The mapping network from latents to styles, and the noise inputs of style-based generators."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from ganforge.networks.layers.equalized import HE_GAIN, EqualizedLinear
from ganforge.networks.layers.labels import one_hot
from ganforge.networks.layers.normalization import pixel_norm
from ganforge.networks.layers.shapes import check_at_least, check_choice, check_fraction
from ganforge.networks.layers.synchronized import several
from ganforge.streams import Noise, Stream, mix

MODES = ("const", "random", "none")


def dense_layers(
    in_features: int, width: int, count: int, learning_rate_multiplier: float = 0.01
) -> nn.ModuleList:
    """Returns ``count`` fully connected layers with equalized learning rate, for leaky ReLU."""
    inputs = [in_features, *[width] * (count - 1)] if count > 0 else []
    layer = partial(EqualizedLinear, learning_rate_multiplier=learning_rate_multiplier)
    return nn.ModuleList(layer(length, width, gain=HE_GAIN) for length in inputs)


def apply_layers(layers: nn.ModuleList, features: Tensor) -> Tensor:
    """Returns features [B, F] after the layers, each followed by leaky ReLU of slope 0.2."""
    for layer in layers:
        features = F.leaky_relu(layer(features), 0.2)
    return features


class Mapping(nn.Module):
    """Mapping network f: latents z to styles w.

    Karras et al. 2019, arXiv:1812.04948, section 2: fully connected layers with leaky ReLU, on z
    normalized to length sqrt(latent_dim). Their learning rate is a hundredth of the others'
    (appendix C). A label embedding is normalized like z and concatenated with it (Karras et al.
    2020, arXiv:2006.06676). The network runs in float32 even under autocast: its cost is
    negligible, and all features depend on the styles.

    The mean of w over z, which the truncation trick needs, is tracked as a moving average over the
    generator's updates: call :meth:`track` once per update, with the styles of all its parts.

    Args:
        latent_dim: length of z.
        w_dim: length of w and of the hidden layers.
        num_ws: number of layers of the synthesis network with a style each.
        layers: number of fully connected layers.
        num_classes: number of classes; 0 for an unconditional network.
        learning_rate_multiplier: learning rate of these layers, relative to others.
        w_mean_decay: decay of the moving average of w per update, in [0, 1).

    Attributes:
        w_mean: moving average of w, [w_dim]; the same on all processes.
    """

    w_mean: Tensor

    def __init__(
        self,
        latent_dim: int,
        w_dim: int,
        num_ws: int,
        layers: int = 8,
        num_classes: int = 0,
        learning_rate_multiplier: float = 0.01,
        w_mean_decay: float = 0.995,
    ) -> None:
        super().__init__()
        sizes = {"latent_dim": latent_dim, "w_dim": w_dim, "num_ws": num_ws, "layers": layers}
        check_at_least("Mapping", 1, **sizes)
        check_fraction("Mapping", w_mean_decay=w_mean_decay)
        self.latent_dim = latent_dim
        self.w_dim = w_dim
        self.num_ws = num_ws
        self.num_classes = num_classes
        self.w_mean_decay = w_mean_decay
        self.embedding = EqualizedLinear(num_classes, w_dim) if num_classes > 0 else None
        first = latent_dim + (w_dim if num_classes > 0 else 0)
        self.layers = dense_layers(first, w_dim, layers, learning_rate_multiplier)
        self.register_buffer("w_mean", torch.zeros(w_dim))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns styles w [B, w_dim], float32.

        Args:
            z: latents [B, latent_dim].
            labels: int64 [B], for a conditional network.
        """
        with torch.autocast(z.device.type, enabled=False):
            return apply_layers(self.layers, self._inputs(z.float(), labels))

    def broadcast(
        self, w: Tensor, truncation: float | None = None, cutoff: int | None = None
    ) -> Tensor:
        """Returns a style for each layer, ws [B, num_ws, w_dim].

        Applies the truncation trick in W (section 4.2; Brock et al. 2019, arXiv:1809.11096, in Z):
        w' = mean + psi (w - mean). A smaller psi gives more typical and less varied images.

        Args:
            w: styles [B, w_dim], or one for each layer, [B, num_ws, w_dim].
            truncation: psi; 1 or None returns w unchanged, 0 returns the mean.
            cutoff: number of layers to truncate, coarsest first; None truncates all.
        """
        ws = w if w.ndim == 3 else w[:, None].expand(-1, self.num_ws, -1)
        if truncation is None or truncation == 1:
            return ws
        typical = torch.lerp(self.w_mean.to(ws), ws, truncation)
        layers = torch.arange(self.num_ws, device=ws.device)
        coarse = layers < (self.num_ws if cutoff is None else cutoff)
        return torch.where(coarse[:, None], typical, ws)

    @torch.no_grad()
    def track(self, w: Tensor) -> None:
        """Updates ``w_mean`` with the mean of styles [B, w_dim] over all processes.

        This is a collective operation: every process must call it after the same updates, or the
        run deadlocks.
        """
        total = torch.cat([w.float().sum(dim=0), w.new_full((1,), float(len(w))).float()])
        if several():
            distributed.all_reduce(total)
        self.w_mean.lerp_(total[:-1] / total[-1], 1 - self.w_mean_decay)

    def _inputs(self, z: Tensor, labels: Tensor | None) -> Tensor:
        parts = [z]
        if self.embedding is not None:
            parts.append(self.embedding(one_hot(labels, self.num_classes, z)))
        return torch.cat([pixel_norm(part) for part in parts], dim=1)


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
