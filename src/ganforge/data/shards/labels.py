"""Numbers the labels that shards hold as numbers or names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganforge.data.files.layout import natural_key, shortened
from ganforge.data.shards.index import Label
from ganforge.errors import DataError
from ganforge.plain_text import one_line

MOST_CLASSES = 100_000


@dataclass(frozen=True)
class Numbered:
    """Labels of both splits as numbers.

    Attributes:
        classes: name of each class, the number itself for a class without a name; empty if the
            images have no labels.
        train: int64 [N], or None.
        test: int64 [M], or None.
        remarks: notes for the user, such as why there are no labels.
    """

    classes: list[str]
    train: Tensor | None = None
    test: Tensor | None = None
    remarks: list[str] = field(default_factory=list)


def number_labels(
    train: Sequence[Label],
    test: Sequence[Label],
    wanted: bool | str,
    names: Sequence[str] = (),
    order: Sequence[str] | None = None,
) -> Numbered:
    """Returns the labels as numbers.

    Numbers are kept. If any label is a name, all are, and classes are numbered in natural order.

    Args:
        train: label of each training image.
        test: label of each test image.
        wanted: "auto" uses labels if all training images have one, of two or more classes; true
            requires that; false ignores labels.
        names: name of each number, as `ganforge prepare` stores them.
        order: the classes in the order of a run; None if it is new.

    Raises:
        DataError: labels are required and missing, or the classes are not those of ``order``.
    """
    if wanted is False:
        return Numbered([])
    classes, fault = _classes(train, order or names)
    if not fault and len(classes) < 2:
        fault = f"{one_line(classes[0])} is the only class" if classes else "there are no images"
    if fault:
        if wanted is True:
            raise DataError(f"labels=true requires labels of two or more classes: {fault}")
        some = any(label is not None for label in train)
        return Numbered([], remarks=[f"no labels: {fault}"] if some else [])
    if order is not None and [*order] != classes:
        if {*order} != {*classes}:
            raise DataError(
                f"its classes are {shortened(classes)}, but data.class_names: {shortened([*order])}"
            )
        classes = [*order]
    plain = all(isinstance(label, int) for label in train)
    numbers: dict[Label, int] = {name: number for number, name in enumerate(classes)}
    own = _numbered(train, numbers, plain)
    held_out = _numbered(test, numbers, plain) if test else None
    remarks = ["no labels in the test split"] if test and held_out is None else []
    return Numbered(classes, own, held_out, remarks)


def _classes(labels: Sequence[Label], names: Sequence[str]) -> tuple[list[str], str]:
    """Returns the names of the classes, or why there are none."""
    found = set(labels)
    if None in found:
        return [], f"{sum(label is None for label in labels):,} images have none"
    numbers = [label for label in found if isinstance(label, int)]
    if len(numbers) < len(found):
        return sorted((str(label) for label in found), key=natural_key), ""
    if not numbers:
        return [], ""
    if not 0 <= min(numbers) <= max(numbers) < MOST_CLASSES:
        return [], f"class numbers from {min(numbers)} to {max(numbers)}"
    if len(names) > max(numbers):
        return [*names], ""
    return [str(number) for number in range(max(numbers) + 1)], ""


def _numbered(labels: Sequence[Label], numbers: dict[Label, int], plain: bool) -> Tensor | None:
    """Returns int64 [N]; None if a label is missing or not among the classes."""
    found = [_number(label, numbers, plain) for label in labels]
    if any(number is None for number in found):
        return None
    return torch.tensor(found, dtype=torch.int64)


def _number(label: Label, numbers: dict[Label, int], plain: bool) -> int | None:
    if plain:
        return label if isinstance(label, int) and 0 <= label < len(numbers) else None
    return None if label is None else numbers.get(str(label))
