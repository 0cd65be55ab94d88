from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer


def adopt_state(optimizer: Optimizer) -> None:
    """Adapts a loaded optimizer state to the current settings and to the parameters' layout.

    A checkpoint may come from a run with another precision, memory layout or device. Fused steps
    walk raw memory, so moments with other strides would be applied to the wrong weights. Fused and
    capturable steps need their counters on the device, others on the CPU.

    State that already fits is not touched, so a resumed run stays bit-identical.

    Args:
        optimizer: optimizer after ``load_state_dict``, which overwrites its groups' settings.
    """
    for group in optimizer.param_groups:
        group.update(optimizer.defaults)
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            for name, value in state.items():
                if isinstance(value, Tensor):
                    state[name] = _adopted(name, value, parameter, group)


def _adopted(name: str, value: Tensor, parameter: Tensor, group: dict[str, object]) -> Tensor:
    if name == "step":
        return _counter(value, parameter, group)
    if value.shape != parameter.shape:
        return value
    # As a new optimizer allocates it: dense, in the order of the parameter's strides.
    wanted = torch.empty_like(parameter, dtype=value.dtype)
    if value.device == parameter.device and value.stride() == wanted.stride():
        return value
    return wanted.copy_(value)


def _counter(value: Tensor, parameter: Tensor, group: dict[str, object]) -> Tensor:
    if "fused" not in group and "capturable" not in group:
        return value  # this optimizer has no requirement on the counter's device
    on_device = bool(group.get("fused") or group.get("capturable"))
    return value.to(parameter.device if on_device else "cpu")
