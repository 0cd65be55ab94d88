from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Returns 8 hex digits that tell these weights from others, whatever device they are on.

    Args:
        state: weights and buffers by name.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        # As bytes: NumPy knows no bfloat16.
        flat = state[name].detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:8]
