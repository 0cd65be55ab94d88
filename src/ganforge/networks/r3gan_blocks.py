"""What R3GAN's networks are made of (Huang et al. 2024, arXiv:2501.05441, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.head import Head

SLOPE = 0.2
# What He et al. 2015 (arXiv:1502.01852) scale weights by, so that LeakyReLU keeps the variance.
GAIN = math.sqrt(2 / (1 + SLOPE**2))


def scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Draws a layer's weight from N(0, gain^2 / fan_in), its bias is 0; returns the layer."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolutions beside the identity, without any normalization.

    LeakyReLU stands between them and nowhere else: from block to block the sum is linear. The last
    convolution starts at 0 and the others are scaled by L^(-1/4), so that the variance stays what
    it is however many blocks follow each other (Fixup, Zhang et al. 2019, arXiv:1901.09321).

    Args:
        channels: C.
        expansion: the 3x3 convolution works on expansion * C channels ...
        group_size: ... in groups of that many; of all where there are fewer.
        depth: L, residual blocks of the whole network.
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
    """Learned 4x4 maps, each times a linear function of the latent. [B, D] -> [B, C, 4, 4].

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
    """The inner product of the label's embedding with a linear function of the features.

    Other than in the head of Miyato & Koyama 2018 (arXiv:1802.05637) nothing is said of an image
    regardless of its class, and there is no bias. Without projection it is a linear layer.

    Args:
        feature_dim: F.
        num_classes: labels.
        projection: whether labels count.
        auxiliary: lengths of further outputs, linear in the features.
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
            # As of a linear layer on the label's one-hot code, and so that the sum over F
            # products has the scale of one.
            nn.init.normal_(self.embedding.weight, 0.0, (num_classes * feature_dim) ** -0.5)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns raw logits [B] of features [B, F]; ``labels`` [B] int64 for a projection."""
        judged: Tensor = self.logit(features)
        if self.embedding is None:
            return judged.squeeze(1)
        if labels is None:
            raise ConfigError("a projection discriminator needs the labels of its images")
        return torch.sum(judged * self.embedding(labels), dim=1)
