from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ganforge.metrics.source import ImageSource
from ganforge.needs import Need


class TranslationSource(Protocol):
    """The part of a two-domain data set's interface that scores need.

    Attributes:
        name: the data set's name.
        gives: "pairs" if image i of one domain corresponds to image i of the other.
    """

    name: str
    gives: frozenset[Need]

    def domain(self, role: str) -> ImageSource:
        """Returns the images of one domain, "input" or "target", in a fixed order."""
        ...


@dataclass(frozen=True)
class Direction:
    """One of a model's translation directions.

    Attributes:
        name: "AtoB" or "BtoA".
        source: images to translate.
        target: real images of the target domain.
        paired: whether image i of ``source`` corresponds to image i of ``target``.
        back: name of the opposite direction; None for a model with one direction.
    """

    name: str
    source: ImageSource
    target: ImageSource
    paired: bool
    back: str | None = None

    @property
    def start(self) -> str:
        """The source domain, "A" or "B"."""
        return self.name.partition("to")[0]

    def published(self, name: str) -> str:
        """Returns a score's published name: ``fid``, or ``fid_AtoB`` if there is a way back."""
        return name if self.back is None else f"{name}_{self.name}"


def directions_of(data: TranslationSource, names: Sequence[str]) -> list[Direction]:
    """Returns a model's directions: first input to target, then, if present, target to input.

    Args:
        data: the two domains.
        names: the model's ``directions``.
    """
    source, target = data.domain("input"), data.domain("target")
    ends = [(source, target), (target, source)]
    backs: list[str | None] = [*names[1:2], names[0]] if len(names) > 1 else [None]
    return [
        Direction(name, *end, "pairs" in data.gives, back)
        for name, end, back in zip(names, ends, backs, strict=False)
    ]
