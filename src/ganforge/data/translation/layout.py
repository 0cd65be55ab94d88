"""Domains, splits and pairs of a translation data set, derived from its folders and file names."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

import torch

from ganforge.data.files.split_folders import TEST_FOLDERS, TRAIN_FOLDERS, shared_folder
from ganforge.data.source import holdout
from ganforge.errors import DataError

_SPLIT = "|".join((*TRAIN_FOLDERS, *TEST_FOLDERS))
_FOLDER = re.compile(rf"(?P<split>{_SPLIT})?[_-]?(?P<domain>[ab])?", re.IGNORECASE)
_LISTED = 10


@dataclass(frozen=True)
class Location:
    """Domain and split of an image, as given by its folders.

    Attributes:
        name: path of the image.
        domain: "A", "B", or None if no folder gives it.
        split: name of the split folder in lower case, or None.
        key: path below those folders, without suffix; equal for the images of a pair.
    """

    name: str
    domain: str | None
    split: str | None
    key: str


def locate(names: list[str], layout: int = 2) -> list[Location]:
    """Returns domain and split of each image from its folders, if any.

    Recognizes ``train/A``, ``A/train``, ``trainA``, ``train`` and ``A``. Folders above the first
    recognized one are ignored.

    Args:
        names: paths with ``/``.
        layout: 1 for the former rules, under which images next to that folder hid it.
    """
    depth = len(shared_folder(names, lambda folder: bool(_meaning(folder))))
    root = () if layout == 1 else _root(names)
    if not root:
        return [_location(name, depth) for name in names]
    return [
        _location(name, len(root))
        if _is_below(name, root)
        else Location(name, None, None, str(PurePosixPath(name).with_suffix("")))
        for name in names
    ]


def _root(names: list[str]) -> tuple[str, ...]:
    """Returns the topmost folder that contains split or domain folders; () if there is none."""
    root: tuple[str, ...] = ()
    while True:
        below = [name.split("/")[len(root) :] for name in names if _is_below(name, root)]
        tops = {parts[0] for parts in below if len(parts) > 1}
        if any(_meaning(top) for top in tops):
            return root
        holding = {p[0] for p in below if any(_meaning(folder) for folder in p[1:-1])}
        if len(holding) != 1:
            return ()
        root = (*root, holding.pop())


def _is_below(name: str, root: tuple[str, ...]) -> bool:
    return tuple(name.split("/")[:-1][: len(root)]) == root


def _location(name: str, depth: int) -> Location:
    *folders, file = name.split("/")[depth:]
    meaning: dict[str, str] = {}
    while folders:
        meant = _meaning(folders[0])
        if not meant or meant.keys() & meaning.keys():
            break
        meaning |= meant
        folders = folders[1:]
    domain, split = meaning.get("domain"), meaning.get("split")
    key = "/".join([*folders, PurePosixPath(file).stem])
    return Location(name, domain and domain.upper(), split and split.lower(), key)


def _meaning(folder: str) -> dict[str, str]:
    match = _FOLDER.fullmatch(folder)
    return {kind: text for kind, text in match.groupdict().items() if text} if match else {}


def by_split(images: list[Location], share: float, layout: int = 2) -> dict[str, list[Location]]:
    """Sorts images into ``train`` and ``test``.

    A test folder takes precedence over a validation folder. Images outside of split folders are
    skipped if there is a training folder, and used for training otherwise. Without a test folder,
    a share of the images is held out: evenly spaced, hence the same in every run.

    Args:
        images: images, in order.
        share: share to hold out if there is no test folder.
        layout: 1 for the former rules, under which images outside of split folders were always
            used for training.

    Raises:
        DataError: there are only test folders.
    """
    kinds = {image.split for image in images if image.split is not None}
    chosen = next((kind for kind in TEST_FOLDERS if kind in kinds), None)
    train = [image for image in images if image.split not in TEST_FOLDERS]
    if layout != 1 and kinds & {*TRAIN_FOLDERS}:
        train = [image for image in train if image.split is not None]
    test = [image for image in images if image.split == chosen] if chosen else []
    if not train and layout != 1:
        raise DataError(
            f"images only in {', '.join(sorted(f'{kind}/' for kind in kinds))}: rename the folder "
            "of training images to train/, or set the path to it"
        )
    if not train:
        train, test = images, []
    count = max(round(share * len(train)), 1) if share and len(train) > 2 else 0
    if not test and count:
        parts = holdout(torch.zeros(len(train), dtype=torch.int64), count)
        train, test = ([train[i] for i in indices.tolist()] for indices in parts)
    return {"train": train, **({"test": test} if test else {})}


def of_domain(images: list[Location], letter: str) -> list[Location]:
    """Returns the images of a domain; raises DataError if there are none."""
    chosen = [image for image in images if image.domain == letter]
    if not chosen:
        raise DataError(f"no images in train{letter}/ and test{letter}/, nor in {letter}/")
    return chosen


def are_sides(images: list[Location]) -> bool:
    """Returns whether each file is a pair side by side, that is, no folder gives a domain.

    Raises:
        DataError: only some of the images are in folders of a domain.
    """
    split = any(image.split in TRAIN_FOLDERS and image.domain for image in images)
    outside = [p.name for p in images if p.domain is None and not (split and p.split is None)]
    if outside and len(outside) < len(images):
        raise DataError(
            f"{len(outside)} of {len(images)} images are not in a folder A or B, but others are:\n"
            f"{listed(outside)}"
        )
    return bool(outside)


def matched(images: list[Location]) -> dict[str, str]:
    """Returns the partner in B of each image in A: the one with the same key and split.

    Raises:
        DataError: images have no partner or several; the message lists them.
    """
    sides = {letter: of_domain(images, letter) for letter in "AB"}
    keys = {side: [(p.split, p.key) for p in sides[side]] for side in sides}
    twice = {key for side in keys for key, n in Counter(keys[side]).items() if n > 1}
    alone = {*keys["A"]} ^ {*keys["B"]}
    for wrong, fault in (
        (alone, "have no partner of the same name in the other domain"),
        (twice, "have the same name as another, up to the suffix"),
    ):
        names = [p.name for side in sides.values() for p in side if (p.split, p.key) in wrong]
        if names:
            raise DataError(f"{len(names)} of {len(images)} images {fault}:\n{listed(names)}")
    partners = dict(zip(keys["B"], (image.name for image in sides["B"]), strict=True))
    return {image.name: partners[image.split, image.key] for image in sides["A"]}


def listed(names: list[str]) -> str:
    """Returns the first names, one per line, and the number of further ones."""
    lines = [f"  {name}" for name in names[:_LISTED]]
    more = len(names) - _LISTED
    return "\n".join([*lines, f"  and {more} more"] if more > 0 else lines)
