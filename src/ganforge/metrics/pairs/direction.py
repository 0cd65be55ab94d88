from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

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


class LabelledDomains:
    """The images of two domains as one data set, labelled by domain: 0 for inputs, 1 for targets.

    Two-domain data have no labels of their own. If Inception is unavailable, the features are those
    of a classifier trained to distinguish the domains.

    Args:
        data: two domains with the same number of channels.
    """

    num_classes = 2

    def __init__(self, data: TranslationSource) -> None:
        self.name = data.name
        self.domains = (data.domain("input"), data.domain("target"))
        self.channels = self.domains[1].channels
        self.image_size = self.domains[1].image_size

    def size(self, split: str) -> int:
        """Returns the number of images of both domains together."""
        return sum(domain.size(split) for domain in self.domains)

    def reals(self, n: int, split: str = "train", start: int = 0) -> tuple[Tensor, Tensor]:
        """Returns images start ... start + n - 1: uint8 [n, C, H, W], and their domains [n].

        Images of the two domains alternate until the smaller domain is exhausted.
        """
        labels = self.real_labels(split)
        chosen = labels[start : start + n]
        images = torch.empty(
            (len(chosen), self.channels, self.image_size, self.image_size), dtype=torch.uint8
        )
        for label, domain in enumerate(self.domains):
            rows = chosen == label
            first, count = int((labels[:start] == label).sum()), int(rows.sum())
            if count:
                images[rows] = domain.reals(count, split, first)[0]
        return images, chosen

    def real_labels(self, split: str = "train") -> Tensor:
        """Returns the domains of all images in that order, int64 [N]."""
        sizes = [domain.size(split) for domain in self.domains]
        turns = torch.arange(2).repeat(min(sizes))
        rest = torch.full((max(sizes) - min(sizes),), int(sizes[1] > sizes[0]))
        return torch.cat([turns, rest])

    def fingerprint(self, split: str) -> str:
        """Returns a hash of the images of both domains."""
        parts = [domain.fingerprint(split) for domain in self.domains]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def for_features(data: TranslationSource) -> ImageSource:
    """Returns the data to build a feature extractor for: both domains, or the target domain.

    Only Inception accepts domains with different numbers of channels, and it needs no labels; the
    target domain suffices then.
    """
    source, target = data.domain("input"), data.domain("target")
    return LabelledDomains(data) if source.channels == target.channels else target
