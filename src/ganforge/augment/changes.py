"""What is drawn for the random changes of Karras et al. 2020, arXiv:2006.06676, appendix B.

Each change has amounts, which are 0 for an image that it leaves as it is. All amounts of a batch
are rows of one tensor, so that the number of operations does not grow with that of the changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganforge.streams import Noise

WHOLE_SHIFT = 0.125  # largest shift by whole pixels, as a fraction of the side
SCALE = 0.2  # standard deviation of log2 of a scale
SHIFT = 0.125  # standard deviation of a shift, as a fraction of the side
BRIGHTNESS = 0.2  # standard deviation of the offset
CONTRAST = 0.5  # standard deviation of log2 of the factor
SATURATION = 1.0  # standard deviation of log2 of the factor


class Change(NamedTuple):
    """A random change, made to each image with probability p.

    Attributes:
        draw: returns numbers [B] or [B, n].
        scale: factor of the numbers in the amounts.
        offset: added to the scaled numbers.
        amounts: n, the amounts of an image.
        paired: whether the change occurs twice, each time with probability 1 - sqrt(1 - p), so that
            it is made at least once with probability p.
    """

    draw: Callable[[Noise], Tensor]
    scale: float = 1.0
    offset: float = 0.0
    amounts: int = 1
    paired: bool = False


def angles(paired: bool = False) -> Change:
    """Returns a rotation by an angle from U[-pi, pi)."""
    return Change(lambda noise: noise.uniform(), 2 * math.pi, -math.pi, paired=paired)


def normal(deviation: float, amounts: int = 1) -> Change:
    """Returns a change by normally distributed amounts."""
    size = () if amounts == 1 else (amounts,)
    return Change(lambda noise: noise.normal(*size), deviation, amounts=amounts)


# In the order of their draws. Movements lead from a position of the result back to its source: that
# is the reason for the minus signs.
CHANGES = {
    # 1: mirrored
    "flip": Change(lambda noise: noise.integers(2)),
    # number of quarter turns
    "quarter_turn": Change(lambda noise: noise.integers(4)),
    # to the right and down, as fractions of the sides, before they are rounded to whole pixels
    "whole_shift": Change(lambda noise: noise.uniform(2), -2 * WHOLE_SHIFT, WHOLE_SHIFT, 2),
    # log2 of a scale
    "scale": normal(-SCALE),
    "turn": angles(paired=True),
    # log2 of a scale of x, and of the inverse scale of y
    "stretch": normal(-SCALE),
    "second_turn": angles(paired=True),
    # to the right and down, as fractions of the sides
    "shift": normal(-SHIFT, 2),
    # added to the colors
    "brightness": normal(BRIGHTNESS),
    # log2 of a factor
    "contrast": normal(CONTRAST),
    # 2: inverted, the factor in I - 2 v v^T
    "luma_flip": Change(lambda noise: noise.integers(2), 2.0),
    "hue_rotation": angles(),
    # log2 of a factor
    "saturation": normal(SATURATION),
}
BLIT = ("flip", "quarter_turn", "whole_shift")
GEOMETRY = ("scale", "turn", "stretch", "second_turn", "shift")
COLOUR = ("brightness", "contrast", "luma_flip", "hue_rotation", "saturation")

# In the order of their rows: amounts that the same operation is applied to are neighbours.
MOVEMENT_ROWS = (*BLIT, "shift", "scale", "stretch", "turn", "second_turn")
COLOUR_ROWS = ("brightness", "luma_flip", "hue_rotation", "contrast", "saturation")
ROWS = (*MOVEMENT_ROWS, *COLOUR_ROWS)
MOVEMENTS = sum(CHANGES[name].amounts for name in MOVEMENT_ROWS)  # number of rows


def draw(noise: Noise, names: Collection[str]) -> tuple[Tensor, Tensor]:
    """Draws numbers for some changes of the images, and whether these are made.

    Args:
        noise: random draws, one row per image.
        names: the changes to draw for; the others are never made.

    Returns:
        The numbers [R, B] and numbers from U[0, 1) that a change is made below its probability.
    """
    never = torch.ones(noise.rows, device=noise.device)
    numbers, chances = dict.fromkeys(CHANGES, never), dict.fromkeys(CHANGES, never)
    for name, change in CHANGES.items():
        if name in names:
            numbers[name] = change.draw(noise).float()
            chances[name] = noise.uniform()
    return _rows(numbers), _rows(chances)


class Amounts(nn.Module):
    """Turns the results of :func:`draw` into the amounts of all changes."""

    scale: Tensor
    offset: Tensor
    paired: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("scale", "offset", "paired"):
            of_each = {key: getattr(change, name) for key, change in CHANGES.items()}
            rows = [of_each[key] for key in ROWS for _ in range(CHANGES[key].amounts)]
            self.register_buffer(name, torch.tensor(rows)[:, None], persistent=False)

    def forward(self, numbers: Tensor, chances: Tensor, p: Tensor) -> Tensor:
        """Returns the amounts [R, B]: 0 where a change is not made.

        Args:
            numbers: [R, B].
            chances: [R, B].
            p: probability of each change, a scalar.
        """
        probability = torch.where(self.paired, 1 - torch.sqrt(1 - p), p)
        amounts = torch.addcmul(self.offset, numbers, self.scale)
        return torch.where(chances < probability, amounts, 0.0)


def _rows(values: dict[str, Tensor]) -> Tensor:
    """Returns [R, B] of numbers [B], which all amounts of a change share, or [B, n]."""
    rows = []
    for name in ROWS:
        value, amounts = values[name], CHANGES[name].amounts
        rows += [value] * amounts if value.ndim == 1 else list(value.unbind(1))
    return torch.stack(rows)
