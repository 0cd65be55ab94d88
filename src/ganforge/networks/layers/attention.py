from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ganforge.errors import ConfigError
from ganforge.networks.layers.shapes import check_at_least

# PyTorch's fused kernels cannot be differentiated twice, as gradient penalties require. Without
# gradients PyTorch selects one of these, the fastest that takes the shapes. cuDNN is left out: it
# is preferred on Hopper, and where it has no plan for a shape (keys and values of different width)
# it raises an error instead of leaving the shape to the next one.
WITHOUT_GRADIENTS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class SelfAttention(nn.Module):
    """Self-attention over all positions:  y = x + gamma v(softmax(g(x) f(x)^T) h(x)).

    Zhang et al. 2019 (SAGAN), arXiv:1805.08318: f, g and h compute keys, queries and values by 1x1
    convolutions without bias; v maps back to C channels. As in the authors' code, keys and values
    are max-pooled 2x2, keys and queries have C / 8 channels, values C / 2, and scores are not
    divided by a square root. gamma starts at 0: the layer is the identity at first, and the network
    learns local dependencies before long-range ones.

    Spectral normalization of the network applies to the four convolutions, never to gamma.

    Args:
        channels: C. Below 8, keys and queries have one channel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        check_at_least("SelfAttention", 1, channels=channels)
        keys, values = max(channels // 8, 1), max(channels // 2, 1)
        self.f = nn.Conv2d(channels, keys, 1, bias=False)
        self.g = nn.Conv2d(channels, keys, 1, bias=False)
        self.h = nn.Conv2d(channels, values, 1, bias=False)
        self.v = nn.Conv2d(values, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W]; H and W at least 2."""
        queries = _rows(self.g(features))
        keys = _rows(F.max_pool2d(self.f(features), 2))
        values = _rows(F.max_pool2d(self.h(features), 2))
        with sdpa_kernel([SDPBackend.MATH] if torch.is_grad_enabled() else WITHOUT_GRADIENTS):
            rows = F.scaled_dot_product_attention(queries, keys, values, scale=1.0)
        attended: Tensor = self.v(_map(rows, features.shape[2:]))
        return features + self.gamma * attended


class AttentionLayers(nn.ModuleDict):
    """Self-attention layers of a network, by the index of the block that they follow."""

    def after(self, index: int, features: Tensor) -> Tensor:
        """Returns [B, C, H, W]: the output of block ``index``, after attention if it has any."""
        return self[str(index)](features) if str(index) in self else features


def attention_layers(
    name: str,
    attention: Sequence[int] | Literal["auto"],
    image_size: int,
    sides: Sequence[int],
    widths: Sequence[int],
) -> AttentionLayers:
    """Returns self-attention after the first block that reaches each requested resolution.

    Raises ConfigError for a resolution without a block.

    Args:
        name: name of the network, for messages.
        attention: list of resolutions, or "auto": 32, which the paper found best for images of
            128, or half the image size below 64.
        image_size: side of the images.
        sides: side of the features after each of the network's blocks.
        widths: channels after each of them.
    """
    if isinstance(attention, str) and attention != "auto":
        raise ConfigError(f"{name}: attention must be auto or a list; got {attention!r}")
    chosen = [min(image_size // 2, 32)] if attention == "auto" else [*attention]
    if not set(chosen) <= set(sides):
        legal = ", ".join(map(str, sorted(set(sides))))
        raise ConfigError(f"{name}: attention must list resolutions out of {legal}; got {chosen}")
    indices = sorted(sides.index(side) for side in set(chosen))
    return AttentionLayers({str(index): SelfAttention(widths[index]) for index in indices})


def _rows(features: Tensor) -> Tensor:
    """Returns [B, 1, H W, C] of [B, C, H, W]: one head, one row per position."""
    return features.flatten(2).transpose(1, 2).unsqueeze(1)


def _map(rows: Tensor, size: torch.Size) -> Tensor:
    """Returns [B, C, H, W] of [B, 1, H W, C]."""
    return rows.squeeze(1).transpose(1, 2).reshape(len(rows), -1, *size)
