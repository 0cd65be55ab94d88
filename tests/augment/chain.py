"""The pipeline of Karras et al. 2020 as the paper writes it: a product of one matrix per change.

A reference for the closed forms. It draws the same numbers in the same order.
"""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor

from ganforge.streams import Noise

V = torch.full((3,), 3**-0.5)


def chosen(noise: Noise, p: Tensor, drawn: Tensor, neutral: float) -> Tensor:
    return torch.where(noise.uniform() < p, drawn, neutral)


def matrix(rows: list[list[Tensor | float]], like: Tensor) -> Tensor:
    entries = [torch.as_tensor(entry).expand_as(like) for row in rows for entry in row]
    return torch.stack(entries, -1).unflatten(-1, (len(rows), len(rows)))


def rotation(cosine: Tensor, sine: Tensor) -> Tensor:
    return matrix([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], cosine)


def shift(noise: Noise, p: Tensor, x: Tensor, y: Tensor) -> Tensor:
    made = chosen(noise, p, torch.ones_like(x), 0.0)
    return matrix([[1, 0, -x * made], [0, 1, -y * made], [0, 0, 1]], x)


def turn(noise: Noise, p: Tensor) -> Tensor:
    angle = chosen(noise, p, math.pi * (2 * noise.uniform() - 1), 0.0)
    return rotation(angle.cos(), angle.sin())


def blit(noise: Noise, p: Tensor, height: int, width: int) -> list[Tensor]:
    flip = chosen(noise, p, 1.0 - 2.0 * noise.integers(2), 1.0)
    turns = chosen(noise, p, noise.integers(4).float(), 0.0) * math.pi / 2
    x, y = (0.125 * (2 * noise.uniform(2) - 1)).unbind(1)
    return [
        matrix([[flip, 0, 0], [0, 1, 0], [0, 0, 1]], flip),
        rotation(turns.cos().round(), turns.sin().round()),
        shift(noise, p, torch.round(x * width), torch.round(y * height)),
    ]


def deform(noise: Noise, p: Tensor, height: int, width: int) -> list[Tensor]:
    half = 1 - torch.sqrt(1 - p)
    scale = 1 / chosen(noise, p, torch.exp2(0.2 * noise.normal()), 1.0)
    first = turn(noise, half)
    stretch = chosen(noise, p, torch.exp2(0.2 * noise.normal()), 1.0)
    second = turn(noise, half)
    x, y = (0.125 * noise.normal(2)).unbind(1)
    return [
        matrix([[scale, 0, 0], [0, scale, 0], [0, 0, 1]], scale),
        first,
        matrix([[1 / stretch, 0, 0], [0, stretch, 0], [0, 0, 1]], stretch),
        second,
        shift(noise, p, x * width, y * height),
    ]


def recolour(noise: Noise, p: Tensor) -> list[Tensor]:
    """The changes in the order in which they are made."""
    b = chosen(noise, p, 0.2 * noise.normal(), 0.0)
    c = chosen(noise, p, torch.exp2(0.5 * noise.normal()), 1.0)
    i = chosen(noise, p, noise.integers(2).float(), 0.0)
    angle = chosen(noise, p, math.pi * (2 * noise.uniform() - 1), 0.0)
    s = chosen(noise, p, torch.exp2(noise.normal()), 1.0)
    along, eye = torch.outer(V, V), torch.eye(3)
    cross = torch.tensor([[0, -1.0, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)  # of v with x
    cosine, sine = (f(angle)[:, None, None] for f in (torch.cos, torch.sin))
    return [
        matrix([[1, 0, 0, b], [0, 1, 0, b], [0, 0, 1, b], [0, 0, 0, 1]], b),
        matrix([[c, 0, 0, 0], [0, c, 0, 0], [0, 0, c, 0], [0, 0, 0, 1]], c),
        homogeneous(eye - 2 * i[:, None, None] * along),
        homogeneous(along + cosine * (eye - along) + sine * cross),
        homogeneous(along + s[:, None, None] * (eye - along)),
    ]


def homogeneous(linear: Tensor) -> Tensor:
    whole = torch.eye(4).repeat(len(linear), 1, 1)
    whole[:, :3, :3] = linear
    return whole


def product(factors: list[Tensor]) -> Tensor:
    return reduce(torch.matmul, factors)
