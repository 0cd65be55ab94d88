"""Splits and classes of an image collection, derived from its folders."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ganforge.data.files.encoded import first_of
from ganforge.data.files.split_folders import (
    TEST_FOLDERS,
    TRAIN_FOLDERS,
    Splits,
    find_splits,
    shared_folder,
    unused_images,
)
from ganforge.errors import DataError
from ganforge.plain_text import one_line

_DIGITS = re.compile(r"(\d+)", re.ASCII)
_SHOWN = 8


@dataclass(frozen=True)
class Layout:
    """The images of each split, with their classes.

    Attributes:
        names: images of ``train`` and, if there are held-out images, of ``test``.
        classes: class folders, in order; empty without labels.
        labels: class number of each image in ``names``; None for a split without labels.
        unused: descriptions of files and folders that belong to no split.
        remarks: further notes for the user, such as why there are no labels.
    """

    names: dict[str, list[str]]
    classes: list[str]
    labels: dict[str, list[int] | None]
    unused: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_layout(names: list[str], labels: bool | str, order: list[str] | None = None) -> Layout:
    """Sorts images into splits and classes by their folders.

    The classes are the class folders of the training split. If there are several test and
    validation folders and the training images have labels, the first folder with labels is used.

    Args:
        names: paths with ``/``.
        labels: "auto" uses folders as classes if all training images are in two or more of
            them; true requires that, false ignores folders.
        order: the classes in order; None for natural order.

    Raises:
        DataError: the folders are ambiguous, or a class has no training image.
    """
    splits = find_splits(names, labels)
    depth = _below_shared(splits.train, splits.depth)
    train = [class_of(name, depth) for name in splits.train]
    folders = sorted({name for name in train if name is not None}, key=natural_key)
    remarks = [splits.remark] if splits.remark else []
    if labels is False or len(folders) < 2 or None in train:
        folders, reason = [], _why_unlabelled(folders, splits.train, train)
        if labels is True:
            raise DataError(
                "labels=true requires that all images are in two or more class folders: "
                f"{reason or 'there are none'}"
            )
        remarks += [reason] if reason and labels is not False else []
    classes = _in_order(folders, order)
    chosen, test = _choose_test(splits, depth, classes)
    held_out = {"test": splits.tests[chosen]} if chosen is not None else {}
    if classes and chosen is not None and test is None:
        remarks.append(f"no labels in {chosen}/: its images are not in folders of these classes")
    images = {"train": splits.train, **held_out}
    used = {name for split in images.values() for name in split}
    numbers_of = {name: number for number, name in enumerate(classes)}
    numbers = [numbers_of[name] for name in train if name is not None] if classes else None
    numbered = {"train": numbers, "test": test}
    return Layout(images, classes, numbered, unused_images(names, used), remarks)


def class_of(name: str, depth: int) -> str | None:
    """Returns the folder of ``name`` at ``depth``; None if the file is not that deep."""
    *folders, _ = name.split("/")
    if depth >= len(folders):
        return None
    # Names that are not valid UTF-8 cannot be stored in a run: escape their bytes.
    return folders[depth].encode(errors="surrogateescape").decode(errors="backslashreplace")


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Returns a sort key that puts 2 before 10: digits compare as numbers, ties as text."""
    parts = _DIGITS.split(name)
    numbers = [part.lstrip("0") if index % 2 else part for index, part in enumerate(parts)]
    # Compare numbers by length, then by digits; this also works for numbers of any length.
    keys = [(len(part) if index % 2 else 0, part) for index, part in enumerate(numbers)]
    return keys, name


def shortened(classes: list[str]) -> str:
    """Returns the first class names and the number of further ones."""
    total = f" ({len(classes)} in all)" if len(classes) > _SHOWN else ""
    return first_of(classes, _SHOWN) + total


def _below_shared(names: list[str], depth: int) -> int:
    """Returns the depth, at least ``depth``, at which the folders of the images first differ."""
    while len(tops := {class_of(name, depth) for name in names}) == 1 and None not in tops:
        depth += 1
    return depth


def _why_unlabelled(folders: list[str], names: list[str], classes: list[str | None]) -> str:
    """Returns why images in class folders have no labels; empty if there are no class folders."""
    outside = [name for name, folder in zip(names, classes, strict=True) if folder is None]
    if not folders:
        return ""
    if outside:
        count = "1 image" if len(outside) == 1 else f"{len(outside)} images"
        return f"no labels: {count} not in a class folder, such as {one_line(outside[0])}"
    return f"no labels: {one_line(folders[0])}/ is the only class folder"


def _in_order(folders: list[str], order: list[str] | None) -> list[str]:
    if order is None or order == folders:
        return folders
    if missing := [name for name in order if name not in folders]:
        raise DataError(
            f"{_folders(missing)} no training image. data.class_names: {shortened(order)}; "
            f"class folders: {shortened(folders) or 'none'}"
        )
    if new := [name for name in folders if name not in order]:
        raise DataError(
            f"class folders {shortened(new)} are not in data.class_names: {shortened(order)}"
        )
    return order


def _choose_test(
    splits: Splits, depth: int, classes: list[str]
) -> tuple[str | None, list[int] | None]:
    """Returns the test folder, preferring labelled ones, and the labels of its images."""
    labelled = {
        folder: _labels(names, splits.depth, depth, classes)
        for folder, names in splits.tests.items()
        if classes
    }
    chosen = next((folder for folder, labels in labelled.items() if labels is not None), None)
    if chosen is None:
        return next(iter(splits.tests), None), None
    return chosen, labelled[chosen]


def _labels(names: list[str], first: int, last: int, classes: list[str]) -> list[int] | None:
    """Returns the labels of test images, or None if they are not in class folders.

    Class folders are searched from the depth of the training split (or deeper) upwards.

    Raises:
        DataError: a test image is in a class without training images.
    """
    numbers_of = {name: number for number, name in enumerate(classes)}
    unknown: list[str] = []
    for depth in range(max(last, _below_shared(names, first)), first - 1, -1):
        folders = [class_of(name, depth) for name in names]
        if all(folder in numbers_of for folder in folders):
            return [numbers_of[str(folder)] for folder in folders]
        new = {folder for folder in folders if folder is not None and folder not in numbers_of}
        if None not in folders and (len(new) > 1 or set(folders) & set(numbers_of)):
            unknown = sorted(new, key=natural_key)
    if unknown:
        raise DataError(
            f"{_folders(unknown)} no training image, only test images: add training images, remove "
            "the folder, or set data.labels=false"
        )
    return None


def _folders(classes: list[str]) -> str:
    if len(classes) == 1:
        return f"class {one_line(classes[0])} has"
    return f"classes {shortened(classes)} have"


def read_former_layout(names: list[str], labels: bool | str) -> Layout:
    """Sorts images into splits and classes by the rules of runs that do not record class names.

    To resume on the same images with the same labels, such a run needs the rules it started with.
    Split folders are used only if there is nothing next to them. Classes are in text order.

    Args:
        names: paths with ``/``.
        labels: "auto", true or false.
    """
    splits, depth = _former_splits(names)
    folders = {split: [class_of(name, depth) for name in part] for split, part in splits.items()}
    every = [folder for part in folders.values() for folder in part]
    classes = sorted({folder for folder in every if folder is not None})
    labelled = labels is not False and len(classes) > 1 and None not in every
    if labels is True and not labelled:
        raise DataError("labels=true requires that all images are in two or more class folders")
    if not labelled:
        return Layout(splits, [], dict.fromkeys(splits))
    numbers_of = {name: number for number, name in enumerate(classes)}
    numbers: dict[str, list[int] | None] = {
        split: [numbers_of[str(folder)] for folder in folders[split]] for split in splits
    }
    return Layout(splits, classes, numbers)


def _former_splits(names: list[str]) -> tuple[dict[str, list[str]], int]:
    depth = len(shared_folder(names))
    tops = {name.split("/")[depth] for name in names if name.count("/") > depth}
    kinds = {top: top.lower() for top in tops}
    train = [top for top in tops if kinds[top] in TRAIN_FOLDERS]
    outside = any(name.count("/") <= depth for name in names)
    if outside or not train or not set(kinds.values()) <= {*TRAIN_FOLDERS, *TEST_FOLDERS}:
        return {"train": names}, depth
    test = sorted(
        (top for top in tops if kinds[top] in TEST_FOLDERS),
        key=lambda t: TEST_FOLDERS.index(kinds[t]),
    )
    chosen = {"train": train[0], **({"test": test[0]} if test else {})}
    splits = {
        split: [name for name in names if name.split("/")[depth] == top]
        for split, top in chosen.items()
    }
    return splits, depth + 1
