"""Settings, state and step counts of the two players' optimizers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganforge.errors import require


def optimizer_of(network: nn.Module, factory: Callable[..., Optimizer], fused: bool) -> Optimizer:
    """Returns the optimizer of a network's weights, with a fused step if wanted and possible."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return (
        factory(parameters, fused=True) if fused and takes_fused(factory) else factory(parameters)
    )


def takes_fused(factory: Callable[..., Optimizer]) -> bool:
    """Whether an optimizer's factory, or the class of a partial one, has an argument ``fused``."""
    return "fused" in inspect.signature(getattr(factory, "func", factory)).parameters


def corrected(optimizer: Optimizer, updates: int, further: int) -> Optimizer:
    """Corrects an optimizer for ``further`` updates after every ``updates``, and returns it.

    With c = updates / (updates + further), which is k / (k + 1) for one penalty at every k-th
    update, the learning rate is multiplied by c and Adam's betas become beta^c. The step length and
    the memory of the moments then stay the same per image seen.

    Args:
        optimizer: optimizer whose settings and defaults are changed in place.
        updates: k.
        further: additional updates per k updates.
    """
    share = updates / (updates + further)
    for settings in (optimizer.defaults, *optimizer.param_groups):
        settings["lr"] = settings["lr"] * share
        if "betas" in settings:
            settings["betas"] = tuple(beta**share for beta in settings["betas"])
    return optimizer


def weights_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """Returns the weights that an optimizer updates."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def clipped(optimizer: Optimizer, max_norm: float | None) -> Tensor:
    """Returns the norm of the gradient of an optimizer's weights, and limits it to ``max_norm``."""
    gradients = [p.grad for p in weights_of(optimizer) if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if max_norm is not None:
        torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


@contextmanager
def frozen(weights: Iterable[nn.Parameter]) -> Iterator[None]:
    """Disables gradients of weights; gradients still flow through the networks that have them.

    On exit, also after an exception, only weights that required a gradient before require one.
    """
    trainable = [weight for weight in weights if weight.requires_grad]
    for weight in trainable:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trainable:
            weight.requires_grad_(True)


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


class BoostedCriticSteps:
    """Critic steps of the WGAN authors' code (Arjovsky et al. 2017, arXiv:1701.07875).

    The first steps, and later every ``period``-th step, train the critic close to its optimum, so
    that its gradient approximates that of the Wasserstein distance.

    Args:
        steps: critic updates in a normal step.
        boosted: critic updates in a boosted step.
        first: number of boosted steps at the start.
        period: every period-th step is boosted too.
    """

    def __init__(
        self, steps: int = 5, boosted: int = 100, first: int = 25, period: int = 500
    ) -> None:
        for name, value in [("steps", steps), ("boosted", boosted), ("period", period)]:
            require(value >= 1, f"critic_steps.{name} must be at least 1, got {value}")
        require(first >= 0, f"critic_steps.first must be at least 0, got {first}")
        self.steps = steps
        self.boosted = boosted
        self.first = first
        self.period = period

    def __call__(self, iteration: int) -> int:
        """Returns the critic updates of the step after ``iteration`` finished steps."""
        boosted = iteration < self.first or iteration % self.period == 0
        return self.boosted if boosted else self.steps
