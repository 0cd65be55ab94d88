from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

SLOPE = 0.2
# Keeps the mean square of what leaky ReLU of slope 0.2 halves, nearly (Karras et al. take it so).
GAIN = math.sqrt(2)


def bias_act(
    features: Tensor,
    bias: Tensor | None = None,
    slope: float = SLOPE,
    gain: float = GAIN,
    clamp: float | None = None,
) -> Tensor:
    """Returns clip(gain * leaky_relu(features + bias)), in the dtype of the features.

    The order of Karras et al. 2020, arXiv:2006.06676: the bound holds for what comes out, so that
    half precision, whose largest number is 65504, does not overflow in the layer that follows.

    Args:
        features: [B, C, ...].
        bias: [C], or None.
        slope: of leaky ReLU below 0; 1 is the identity.
        gain: factor of the result.
        clamp: largest absolute value of the result; None leaves it.
    """
    if bias is not None:
        features = features + bias.to(features.dtype).reshape(-1, *[1] * (features.ndim - 2))
    if slope != 1:
        features = F.leaky_relu(features, slope)
    if gain != 1:
        features = features * gain
    return features if clamp is None else features.clamp(-clamp, clamp)
