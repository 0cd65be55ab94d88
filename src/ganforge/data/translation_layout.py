"""What the folders of a translation data set mean: domains, splits, and who belongs to whom."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch

from ganforge.data.layout import TEST_FOLDERS, TRAIN_FOLDERS
from ganforge.data.source import holdout
from ganforge.errors import ConfigError, DataError

_SPLIT = "|".join((*TRAIN_FOLDERS, *TEST_FOLDERS))
_FOLDER = re.compile(rf"(?P<split>{_SPLIT})?[_-]?(?P<domain>[ab])?", re.IGNORECASE)
_LISTED = 10


@dataclass(frozen=True)
class Place:
    """Where an image stands in a data set.

    Attributes:
        name: its path.
        domain: "A", "B", or None where no folder says so.
        split: the folder of its split in lower case, or None.
        key: its path below those folders, without suffix: what pairs share.
    """

    name: str
    domain: str | None
    split: str | None
    key: str


def places(names: list[str]) -> list[Place]:
    """Reads the folders of images: ``train/A``, ``A/train``, ``trainA``, ``train``, ``A``, or none.

    Folders that all images share are passed over, up to the first that means something.

    Args:
        names: paths with ``/``.
    """
    depth = _shared_depth(names)
    return [_place(name, depth) for name in names]


def _place(name: str, depth: int) -> Place:
    *folders, file = name.split("/")[depth:]
    meaning: dict[str, str] = {}
    while folders:
        found = _meaning(folders[0])
        if not found or found.keys() & meaning.keys():
            break
        meaning |= found
        folders = folders[1:]
    domain, split = meaning.get("domain"), meaning.get("split")
    key = "/".join([*folders, PurePosixPath(file).stem])
    return Place(name, domain and domain.upper(), split and split.lower(), key)


def _meaning(folder: str) -> dict[str, str]:
    match = _FOLDER.fullmatch(folder)
    return {kind: text for kind, text in match.groupdict().items() if text} if match else {}


def _shared_depth(names: list[str]) -> int:
    depth = 0
    while True:
        tops = {name.split("/")[depth] if name.count("/") > depth else None for name in names}
        top = next(iter(tops))
        if len(tops) > 1 or top is None or _meaning(top):
            return depth
        depth += 1


def by_split(found: list[Place], share: float) -> dict[str, list[Place]]:
    """Sorts images into ``train`` and ``test``.

    A test folder goes before a validation folder, which is then left out. What lies outside them is
    trained on, in a training folder or not. Without either, or without anything outside, a share of
    the images is held out, at even distances, always the same ones.

    Args:
        found: images, in order.
        share: of a set without test folder, what is held out.
    """
    kinds = {place.split for place in found}
    train = [place for place in found if place.split not in TEST_FOLDERS]
    chosen = next((kind for kind in TEST_FOLDERS if kind in kinds), None)
    test = [place for place in found if place.split == chosen] if chosen else []
    if not train:
        train, test = found, []
    count = max(round(share * len(train)), 1) if share and len(train) > 2 else 0
    if not test and count:
        kept, held_out = holdout(torch.zeros(len(train), dtype=torch.int64), count)
        train, test = [train[i] for i in kept.tolist()], [train[i] for i in held_out.tolist()]
    return {"train": train, **({"test": test} if test else {})}


def check_holdout(share: float) -> None:
    """Raises ConfigError for a share that leaves nothing to train on."""
    if not 0 <= share < 1:
        raise ConfigError(f"holdout must be at least 0 and below 1, got {share}")


def of_domain(path: Path, found: list[Place], letter: str) -> list[Place]:
    """Returns the images of a domain, or raises DataError where there are none."""
    chosen = [place for place in found if place.domain == letter]
    if not chosen:
        raise DataError(
            f"{path}: domain {letter} is empty: expected images in train{letter}/ and "
            f"test{letter}/, or in {letter}/"
        )
    return chosen


def are_sides(path: Path, found: list[Place]) -> bool:
    """Returns whether each image holds a pair side by side, as no folder says A or B.

    Raises:
        DataError: if that holds for some images alone.
    """
    outside = [place.name for place in found if place.domain is None]
    if outside and len(outside) < len(found):
        raise DataError(
            f"{path}: {len(outside)} of {len(found)} images lie in no folder A or B, while others "
            f"do:\n{listed(outside)}"
        )
    return bool(outside)


def matched(path: Path, found: list[Place]) -> dict[str, str]:
    """Returns the name of the B that belongs to each A, which has the same key and split.

    Args:
        path: the data set, for messages.
        found: images of both domains.

    Raises:
        DataError: if an image has no partner, or more than one: how many, and which.
    """
    sides = {letter: of_domain(path, found, letter) for letter in "AB"}
    keys = {side: [(p.split, p.key) for p in sides[side]] for side in sides}
    twice = {key for side in keys for key, n in Counter(keys[side]).items() if n > 1}
    alone = {*keys["A"]} ^ {*keys["B"]}
    for wrong, fault in (
        (alone, "have no partner of the same name in the other domain"),
        (twice, "share their name, up to its suffix, with another"),
    ):
        names = [p.name for side in sides.values() for p in side if (p.split, p.key) in wrong]
        if names:
            raise DataError(
                f"{path}: {len(names)} of {len(found)} images {fault}:\n{listed(names)}"
            )
    partners = dict(zip(keys["B"], (place.name for place in sides["B"]), strict=True))
    return {place.name: partners[place.split, place.key] for place in sides["A"]}


def listed(names: list[str]) -> str:
    """Returns the first names, one a line, and how many more there are."""
    lines = [f"  {name}" for name in names[:_LISTED]]
    more = len(names) - _LISTED
    return "\n".join([*lines, f"  and {more} more"] if more > 0 else lines)
