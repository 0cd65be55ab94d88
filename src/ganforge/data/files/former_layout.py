"""Folder rules of runs that predate the recording of class names.

To resume on the same images with the same labels, such a run needs the rules it started with.
"""

from __future__ import annotations

from ganforge.data.files.layout import Layout, class_of
from ganforge.data.files.split_folders import TEST_FOLDERS, TRAIN_FOLDERS
from ganforge.errors import DataError


def read_former_layout(names: list[str], labels: bool | str) -> Layout:
    """Sorts images into splits and classes by the former rules of ``layout.read_layout``.

    Split folders are used only if there is nothing next to them. Classes are in text order.

    Args:
        names: paths with ``/``.
        labels: "auto", true or false.
    """
    splits, depth = _splits(names)
    found = {split: [class_of(name, depth) for name in chosen] for split, chosen in splits.items()}
    folders = [folder for split in found.values() for folder in split]
    classes = sorted({folder for folder in folders if folder is not None})
    labelled = labels is not False and len(classes) > 1 and None not in folders
    if labels is True and not labelled:
        raise DataError("labels=true needs every image in one of two or more class folders")
    if not labelled:
        return Layout(splits, [], dict.fromkeys(splits))
    places = {name: number for number, name in enumerate(classes)}
    numbers: dict[str, list[int] | None] = {
        split: [places[str(folder)] for folder in found[split]] for split in splits
    }
    return Layout(splits, classes, numbers)


def _splits(names: list[str]) -> tuple[dict[str, list[str]], int]:
    depth = _shared_depth(names)
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


def _shared_depth(names: list[str]) -> int:
    depth = 0
    while True:
        tops = {name.split("/")[depth] if name.count("/") > depth else None for name in names}
        top = next(iter(tops))
        if len(tops) > 1 or top is None or top.lower() in TRAIN_FOLDERS:
            return depth
        depth += 1
