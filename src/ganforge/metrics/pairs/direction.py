from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ganforge.metrics.source import ImageSource


class TranslationSource(Protocol):
    """What a score asks of data of two domains.

    Attributes:
        name: the data set's name.
        paired: whether image i of one domain belongs to image i of the other.
    """

    name: str
    paired: bool

    def domain(self, role: str) -> ImageSource:
        """Returns the images of one domain, "input" or "target", in a fixed order."""
        ...


@dataclass(frozen=True)
class Direction:
    """One way in which a game translates.

    Attributes:
        name: "AtoB" or "BtoA".
        source: images that are translated.
        target: real images of the domain that they are translated to.
        paired: whether image i of one belongs to image i of the other.
        back: name of the opposite direction; None in a game of one direction.
    """

    name: str
    source: ImageSource
    target: ImageSource
    paired: bool
    back: str | None = None

    @property
    def start(self) -> str:
        """The domain that is translated, "A" or "B"."""
        return self.name.partition("to")[0]

    def published(self, name: str) -> str:
        """Returns the name of a score in this direction: ``fid``, or ``fid_AtoB`` of two ways."""
        return name if self.back is None else f"{name}_{self.name}"


def directions_of(data: TranslationSource, names: Sequence[str]) -> list[Direction]:
    """Returns the directions of a game, the first from input to target, the second back.

    Args:
        data: the two domains.
        names: the game's ``directions``.
    """
    source, target = data.domain("input"), data.domain("target")
    ends = [(source, target), (target, source)]
    backs: list[str | None] = [*names[1:2], names[0]] if len(names) > 1 else [None]
    return [
        Direction(name, *end, data.paired, back)
        for name, end, back in zip(names, ends, backs, strict=False)
    ]
