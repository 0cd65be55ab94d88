"""Logits and draws that the loss tests share."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from ganforge.streams import Noise

FINITE = st.floats(-50, 50, allow_nan=False, width=32)
LOGITS = st.lists(FINITE, min_size=1, max_size=8)


def logits(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def gradients(loss: Tensor, *inputs: Tensor) -> list[list[float]]:
    return [gradient.tolist() for gradient in torch.autograd.grad(loss, inputs)]


class FixedNoise(Noise):
    """Returns given uniform numbers, in turn."""

    def __init__(self, *draws: list[float]) -> None:
        super().__init__(0, len(draws[0]))
        self.draws = [torch.tensor(draw) for draw in draws]

    def uniform(self, *shape: int) -> Tensor:
        draw = self.draws.pop(0)
        assert tuple(draw.shape[1:]) == shape
        return draw
