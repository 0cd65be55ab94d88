"""Random numbers for single samples, as a function of their position in the order."""

from __future__ import annotations

import torch
from torch import Tensor

_MASK = (1 << 64) - 1


def uniforms(seed: int, positions: Tensor) -> Tensor:
    """Returns float64 [B] in [0, 1): number ``position`` of the stream ``seed``.

    A counter-based generator (the splitmix64 sequence): a sample gets the same number in any
    batch, worker or process, without one generator object per sample.

    Args:
        seed: identifies the stream, any integer.
        positions: int64 [B], on the CPU.
    """
    state = positions * _signed(0x9E3779B97F4A7C15) + _signed(seed)
    state = (state ^ _shifted(state, 30)) * _signed(0xBF58476D1CE4E5B9)
    state = (state ^ _shifted(state, 27)) * _signed(0x94D049BB133111EB)
    state = state ^ _shifted(state, 31)
    return _shifted(state, 11).to(torch.float64) * 2.0**-53


def _signed(value: int) -> int:
    """Returns the int64 with the bits of ``value``; torch has no arithmetic on uint64."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _shifted(state: Tensor, bits: int) -> Tensor:
    """Returns a logical right shift; ``>>`` on int64 tensors is arithmetic (extends the sign)."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)
