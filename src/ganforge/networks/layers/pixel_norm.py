from __future__ import annotations

from torch import Tensor, nn


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Returns x / sqrt(mean_c x_c^2 + eps): features of length sqrt(C) at each position.

    Karras et al. 2018, arXiv:1710.10196, section 4.2.

    Args:
        x: [B, C, ...].
        eps: keeps the gradient of the square root finite if all features are 0.
    """
    # Computed in float32: in half precision squares overflow beyond 256 and eps underflows to 0.
    wide = x.float() if x.element_size() < 4 else x
    return (wide * (wide.square().mean(dim=1, keepdim=True) + eps).rsqrt()).to(x.dtype)


class PixelNorm(nn.Module):
    """Layer that applies :func:`pixel_norm`: [B, C, ...] -> [B, C, ...]."""

    def forward(self, features: Tensor) -> Tensor:
        """Returns features of mean square 1 at each position."""
        return pixel_norm(features)
