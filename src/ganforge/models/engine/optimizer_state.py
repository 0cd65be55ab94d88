from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer


def adopt_state(optimizer: Optimizer) -> None:
    """Brings an optimizer's loaded state to its present settings and to its parameters' layout.

    A checkpoint may come from a run with another precision, memory layout or device. Fused steps
    walk raw memory, so moments of another stride would be applied to other weights; fused and
    capturable steps need their counters on the device, others need them on the CPU.

    State that fits already is left alone, so that a resumed run stays bit-equal.

    Args:
        optimizer: after ``load_state_dict``, which overwrites the settings of its groups.
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
    # As a fresh optimizer would allocate it: dense, in the order of the parameter's strides.
    wanted = torch.empty_like(parameter, dtype=value.dtype)
    if value.device == parameter.device and value.stride() == wanted.stride():
        return value
    return wanted.copy_(value)


def _counter(value: Tensor, parameter: Tensor, group: dict[str, object]) -> Tensor:
    if "fused" not in group and "capturable" not in group:
        return value  # an optimizer that keeps its counter where it likes
    on_device = bool(group.get("fused") or group.get("capturable"))
    return value.to(parameter.device if on_device else "cpu")
