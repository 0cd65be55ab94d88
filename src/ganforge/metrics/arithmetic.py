from __future__ import annotations

from typing import Any, cast

import torch


def arithmetic(device: torch.device) -> str:
    """Returns what decides how far features round: a device's model, and the precision it may use.

    TF32 and bfloat16, which stand in for float32 where they are allowed and a GPU's model has them,
    keep 10 and 7 bits of its 23. What changes the order of sums alone, such as the batch size or
    the number of threads, is not told: in one precision that moves the last bits.
    """
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    try:
        products = torch.get_float32_matmul_precision()
        convolutions = "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
    except RuntimeError:  # set for single operators, and so there are settings for each
        backends = cast(Any, torch.backends)
        products = backends.cuda.matmul.fp32_precision
        convolutions = backends.cudnn.conv.fp32_precision
    return f"{model}, products {products}, convolutions {convolutions}"
