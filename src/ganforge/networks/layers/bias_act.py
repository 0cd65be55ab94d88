from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

SLOPE = 0.2
# Approximately restores the mean square, which leaky ReLU of slope 0.2 roughly halves; the value
# of Karras et al.
GAIN = math.sqrt(2)


def bias_act(
    features: Tensor,
    bias: Tensor | None = None,
    slope: float = SLOPE,
    gain: float = GAIN,
    clamp: float | None = None,
) -> Tensor:
    """Returns clip(gain * leaky_relu(features + bias)), in the dtype of the features.

    The order of Karras et al. 2020, arXiv:2006.06676: the limit applies to the result, so that the
    next layer does not overflow in half precision, whose largest number is 65504.

    Args:
        features: [B, C, ...].
        bias: [C], or None.
        slope: slope of leaky ReLU below 0; 1 is the identity.
        gain: factor of the result.
        clamp: largest absolute value of the result; None for no limit.
    """
    if bias is not None:
        features = features + bias.to(features.dtype).reshape(-1, *[1] * (features.ndim - 2))
    if slope != 1:
        features = F.leaky_relu(features, slope)
    if gain != 1:
        features = features * gain
    return features if clamp is None else features.clamp(-clamp, clamp)
