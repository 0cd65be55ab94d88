"""What the folders of an image collection mean: splits and classes."""

from __future__ import annotations

TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing", "val", "valid", "validation")


def split_names(names: list[str]) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Sorts images into ``train`` and ``test`` by their folders.

    Folders that all images share are passed over. Where the first one that differs is always that
    of a split, and one is ``train``, it decides; otherwise everything is ``train``. A test folder
    goes before a validation folder, which is then left out.

    Args:
        names: paths with ``/``.

    Returns:
        The names of each split, and the depth of the folders below which its classes begin.
    """
    depth = _shared_depth(names)
    tops = {name.split("/")[depth] for name in names if name.count("/") > depth}
    kinds = {top: top.lower() for top in tops}
    train = [top for top in tops if kinds[top] in TRAIN_FOLDERS]
    outside = any(name.count("/") <= depth for name in names)
    if outside or not train or not set(kinds.values()) <= {*TRAIN_FOLDERS, *TEST_FOLDERS}:
        return {"train": names}, {"train": depth}
    test = sorted(
        (top for top in tops if kinds[top] in TEST_FOLDERS),
        key=lambda t: TEST_FOLDERS.index(kinds[t]),
    )
    chosen = {"train": train[0], **({"test": test[0]} if test else {})}
    splits = {
        split: [name for name in names if name.split("/")[depth] == top]
        for split, top in chosen.items()
    }
    return splits, dict.fromkeys(splits, depth + 1)


def class_of(name: str, depth: int) -> str | None:
    """Returns the folder of ``name`` below ``depth`` shared ones, None where it lies in none."""
    parts = name.split("/")
    return parts[depth] if len(parts) > depth + 1 else None


def _shared_depth(names: list[str]) -> int:
    depth = 0
    while True:
        tops = {name.split("/")[depth] if name.count("/") > depth else None for name in names}
        top = next(iter(tops))
        if len(tops) > 1 or top is None or top.lower() in TRAIN_FOLDERS:
            return depth
        depth += 1
