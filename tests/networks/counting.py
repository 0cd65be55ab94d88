"""Parameters of networks of any size, without memory or time for their values."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn


def untouched(values: Tensor, *numbers: float, generator: torch.Generator | None = None) -> Tensor:
    """Takes the place of a draw: there is nothing to fill, and PyTorch is slow to find that out."""
    return values


def blueprint(kind: type[nn.Module], *sizes: int, **options: Any) -> nn.Module:
    """``kind(*sizes, **options)`` with shapes, but no values."""
    draws = {"normal_": untouched, "uniform_": untouched}
    with patch.multiple(torch.Tensor, **draws), torch.device("meta"):
        return kind(*sizes, **options)


def count(kind: type[nn.Module], *sizes: int, **options: Any) -> int:
    """The number of parameters of ``kind(*sizes, **options)``."""
    return sum(parameter.numel() for parameter in blueprint(kind, *sizes, **options).parameters())
