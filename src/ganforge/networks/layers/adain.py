from __future__ import annotations

import torch
from torch import Tensor, nn

from ganforge.networks.layers.equalized import EqualizedLinear
from ganforge.networks.layers.shapes import check_positive

# Keeps the gradient finite for a constant map.
EPSILON = 1e-8


def adain(features: Tensor, gain: Tensor, shift: Tensor, eps: float = EPSILON) -> Tensor:
    """Returns  gain (x - mean(x)) / std(x) + shift,  with statistics of each map [H, W].

    Adaptive instance normalization: Huang & Belongie 2017, arXiv:1703.06868; equation 1 of Karras
    et al. 2019, arXiv:1812.04948. The result has mean ``shift`` and standard deviation ``|gain|``
    in each map.

    Args:
        features: x, [B, C, H, W].
        gain: [B, C].
        shift: [B, C].
        eps: added to the variance.
    """
    # Computed in float32: in half precision squares overflow and eps underflows to 0.
    wide = features.float() if features.element_size() < 4 else features
    variance, mean = torch.var_mean(wide, dim=(2, 3), correction=0, keepdim=True)
    gain, shift = (style[:, :, None, None].to(wide) for style in (gain, shift))
    return ((wide - mean) * ((variance + eps).rsqrt() * gain) + shift).to(features.dtype)


class AdaIN(nn.Module):
    """AdaIN with gains and shifts from a style: a learned affine map of w.

    Karras et al. 2019, arXiv:1812.04948, section 2. Gains start near 1 and shifts near 0
    (appendix C).

    Args:
        channels: C.
        w_dim: length of the style.
    """

    def __init__(self, channels: int, w_dim: int) -> None:
        super().__init__()
        check_positive("AdaIN", "channels", channels)
        check_positive("AdaIN", "w_dim", w_dim)
        self.affine = EqualizedLinear(w_dim, 2 * channels)

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """Returns [B, C, H, W] of features [B, C, H, W] and styles [B, w_dim]."""
        gain, shift = self.affine(w).chunk(2, dim=1)
        return adain(features, 1 + gain, shift)
