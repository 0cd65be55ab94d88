from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Returns a hash of weights, 8 hex digits; independent of their device.

    Args:
        state: weights and buffers by name.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        # Viewed as bytes, since NumPy has no bfloat16.
        flat = state[name].detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:8]
