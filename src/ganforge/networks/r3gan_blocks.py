"""Building blocks of R3GAN (Huang et al. 2024, arXiv:2501.05441, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.head import Head

SLOPE = 0.2
# Gain of He et al. 2015 (arXiv:1502.01852), which preserves the variance through LeakyReLU.
GAIN = math.sqrt(2 / (1 + SLOPE**2))


def scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Initializes a layer's weight from N(0, gain^2 / fan_in), its bias with 0, and returns it."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """Residual block of 1x1, grouped 3x3 and 1x1 convolutions, without normalization.

    LeakyReLU is applied only between the convolutions; the skip path is linear. The last
    convolution is initialized with 0 and the others are scaled by L^(-1/4), which preserves the
    variance at any depth (Fixup, Zhang et al. 2019, arXiv:1901.09321).

    Args:
        channels: C.
        expansion: the 3x3 convolution has expansion * C channels.
        group_size: channels per group of the 3x3 convolution; one group if it has fewer channels.
        depth: L, the number of residual blocks in the network.
    """

    def __init__(self, channels: int, expansion: int, group_size: int, depth: int) -> None:
        super().__init__()
        wide = channels * expansion
        group = min(group_size, wide)
        if wide % group:
            raise ConfigError(
                f"R3GAN: group_size must divide the {wide} channels of a block of width "
                f"{channels} and expansion {expansion}; got {group_size}"
            )
        gain = GAIN * depth**-0.25
        self.widen = scaled(nn.Conv2d(channels, wide, 1), gain)
        self.mix = scaled(nn.Conv2d(wide, wide, 3, padding=1, groups=wide // group), gain)
        self.narrow = scaled(nn.Conv2d(wide, channels, 1, bias=False), 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W]."""
        wide = F.leaky_relu(self.widen(features), SLOPE)
        residual: Tensor = self.narrow(F.leaky_relu(self.mix(wide), SLOPE))
        return features + residual


class GenerativeBasis(nn.Module):
    """Learned 4x4 maps, each scaled by a linear function of the latent: [B, D] -> [B, C, 4, 4].

    Args:
        input_dim: D.
        channels: C.
    """

    def __init__(self, input_dim: int, channels: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.empty(channels, 4, 4))
        nn.init.normal_(self.maps)
        self.amounts = scaled(nn.Linear(input_dim, channels, bias=False))

    def forward(self, latents: Tensor) -> Tensor:
        """Returns [B, C, 4, 4] of latents [B, D]."""
        amounts: Tensor = self.amounts(latents)
        return self.maps * amounts[:, :, None, None]


class ProjectionHead(Head):
    """Head that returns the inner product of the label embedding and projected features.

    Unlike the head of Miyato & Koyama 2018 (arXiv:1802.05637), it has no class-independent term and
    no bias. Without projection it is a linear layer.

    Args:
        feature_dim: F.
        num_classes: number of classes.
        projection: whether the logit depends on the label.
        auxiliary: lengths of the auxiliary outputs, linear in the features.
    """

    def __init__(
        self,
        feature_dim: int,
        num_classes: int = 0,
        projection: bool = False,
        auxiliary: Sequence[int] = (),
    ) -> None:
        super().__init__(feature_dim, num_classes, projection, auxiliary, bias=False)
        self.logit = nn.Linear(feature_dim, feature_dim if projection else 1, bias=False)
        scaled(self.logit)
        if self.embedding is not None:
            # The scale of a linear layer on the label's one-hot code, divided by sqrt(F) so that
            # the sum over F products keeps it.
            nn.init.normal_(self.embedding.weight, 0.0, (num_classes * feature_dim) ** -0.5)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns raw logits [B] of features [B, F]; ``labels`` [B] int64 for a projection."""
        judged: Tensor = self.logit(features)
        if self.embedding is None:
            return judged.squeeze(1)
        if labels is None:
            raise ConfigError("a projection discriminator needs the labels of its images")
        return torch.sum(judged * self.embedding(labels), dim=1)
