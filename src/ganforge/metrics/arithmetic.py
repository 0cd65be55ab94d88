from __future__ import annotations

from typing import Any, cast

import torch


def arithmetic(device: torch.device) -> str:
    """Returns a description of a device's float32 arithmetic: its model and allowed precisions.

    Used in cache keys, as features differ between them: if allowed and supported by the GPU, TF32
    and bfloat16 replace float32 and keep 10 and 7 bits of its 23-bit mantissa. Settings that only
    change the order of sums, such as batch size or number of threads, are not included: they change
    only the last bits.
    """
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    try:
        products = torch.get_float32_matmul_precision()
        convolutions = "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
    except RuntimeError:  # precision was set per operator; the global getters refuse to answer
        backends = cast(Any, torch.backends)
        products = backends.cuda.matmul.fp32_precision
        convolutions = backends.cudnn.conv.fp32_precision
    return f"{model}, products {products}, convolutions {convolutions}"
