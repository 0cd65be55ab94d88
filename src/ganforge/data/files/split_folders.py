"""Finds the training and test folders of an image collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile

from ganforge.data.files.encoded import first_of
from ganforge.errors import DataError
from ganforge.plain_text import one_line

TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing", "val", "valid", "validation")
_LISTED = 5

Folder = tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """The splits found in the folders.

    Attributes:
        train: training images.
        tests: images of each test or validation folder, the preferred one first.
        depth: number of folders above possible class folders.
        remark: note for the user on the choice; may be empty.
    """

    train: list[str]
    tests: dict[str, list[str]]
    depth: int
    remark: str = ""


def find_splits(names: list[str], labels: bool | str) -> Splits:
    """Finds the folders ``train`` and ``test`` (or their synonyms), ignoring case.

    If a folder contains both, they are the splits, regardless of other folders next to them.
    Several such folders are classes, each with its own splits.

    Args:
        names: paths with ``/``.
        labels: true if the top folders are classes, even one called ``train`` or ``test``.

    Raises:
        DataError: the folders are ambiguous.
    """
    shared = shared_folder(names)
    parents = _parents(names)
    if parents:
        return _of_parents(names, parents, shared)
    tops = {name.split("/")[len(shared)] for name in names if name.count("/") > len(shared)}
    train = [top for top in tops if is_train(top)]
    test = [top for top in tops if top.lower() in TEST_FOLDERS]
    if train and (labels is not True or len(tops) == 1):
        return _train_alone(names, shared, train, tops, labels)
    if test and labels is not True:
        raise DataError(
            f"no train/ next to {_listed(test)} (folders: {_listed(tops)}): rename the folder of "
            "training images to train/, or set the path to it; if these are classes, set "
            "data.labels=true"
        )
    return Splits(names, {}, len(shared), _remark(names, shared))


def is_train(folder: str) -> bool:
    """Whether a folder is named like a training split."""
    return folder.lower() in TRAIN_FOLDERS


def shared_folder(names: list[str], ends: Callable[[str], bool] = is_train) -> Folder:
    """Returns the common parent folders of all images, up to the first that ``ends`` accepts."""
    shared = _common_folders(names)
    stops = [depth for depth, folder in enumerate(shared) if ends(folder)]
    return shared[: stops[0]] if stops else shared


def _remark(names: list[str], shared: Folder) -> str:
    """Returns a note on test folders that are trained on because no train/ is next to them."""
    if shared and _kind(shared[-1]) == "test":
        return f"no train/: training on the images of {shared[-1]}/"
    inside = [
        (folders[: depth + 1], name)
        for name in names
        for folders in [_folders(name)]
        for depth in range(len(shared) + 1, len(folders))
        if _kind(folders[depth]) == "test"
    ]
    if not inside:
        return ""
    count, folder = len({name for _, name in inside}), "/".join(inside[0][0])
    return f"no train/ next to {one_line(folder)}/: training on {count} images in such folders"


def unused_images(names: list[str], used: set[str]) -> list[str]:
    """Returns descriptions of unused images: ``samples/ (12 images)``, ``cover.png``.

    Args:
        names: paths of all images.
        used: paths of the images in use.
    """
    above = {folders[:depth] for f in used for folders in [_folders(f)] for depth in _depths(f)}
    counts = Counter(_top(name, above) for name in names if name not in used)
    lines = [
        f"{path} ({count} {'image' if count == 1 else 'images'})" if path[-1] == "/" else path
        for path, count in counts.items()
    ]
    more = len(lines) - _LISTED
    return [*map(one_line, lines[:_LISTED]), *([f"{more} more"] if more > 0 else [])]


def _top(name: str, above: set[Folder]) -> str:
    """Returns the topmost folder of ``name`` without a used image, or the file itself."""
    folders = _folders(name)
    unused = [folders[:depth] for depth in _depths(name) if folders[:depth] not in above]
    return "/".join(unused[0]) + "/" if unused else name


def _depths(name: str) -> range:
    return range(1, name.count("/") + 1)


def _folders(name: str) -> Folder:
    return tuple(name.split("/")[:-1])


def _common_folders(names: list[str]) -> Folder:
    pairs = zip(_folders(min(names)), _folders(max(names)), strict=False)
    return tuple(first for first, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _parents(names: list[str]) -> list[Folder]:
    """Returns the topmost folders that contain both a training and a test folder."""
    kinds: dict[Folder, set[str]] = {}
    first = len(_common_folders(names))
    for name in names:
        folders = _folders(name)
        for depth, folder in enumerate(folders[first:], first):
            if kind := _kind(folder):
                kinds.setdefault(tuple(folders[:depth]), set()).add(kind)
    both = [parent for parent, splits in kinds.items() if len(splits) == 2]
    # Ignore parents inside of the splits of another parent: a class may be called "test".
    outer = [p for p in both if not any(o != p and p[: len(o)] == o for o in both)]
    siblings = [p for p in kinds if p not in outer and not any(p[: len(o)] == o for o in outer)]
    if outer and siblings:
        raise _several((*outer, *siblings))
    return sorted(outer)


def _of_parents(names: list[str], parents: list[Folder], shared: Folder) -> Splits:
    depth = len(parents[0])
    inside = [name for name in names if _in_split(name, parents)]
    if len(parents) > 1:
        _check_classes(names, inside, parents, shared)
    train: dict[str, list[str]] = {}
    tests: dict[str, list[str]] = {}
    for name in inside:
        folder = name.split("/")[depth]
        (train if _kind(folder) == "train" else tests).setdefault(folder, []).append(name)
    _check_one([*train], "training")
    ordered = sorted(tests, key=lambda folder: TEST_FOLDERS.index(folder.lower()))
    best = [folder for folder in ordered if folder.lower() == ordered[0].lower()]
    _check_one(best, "test")
    classes_at = depth + 1 if len(parents) == 1 else depth - 1
    ranked = {folder: tests[folder] for folder in ordered}
    return Splits(next(iter(train.values())), ranked, classes_at)


def _in_split(name: str, parents: list[Folder]) -> bool:
    """Whether an image is in a split folder of one of ``parents``."""
    folders = _folders(name)
    splits = [folders[len(p)] for p in parents if folders[: len(p)] == p and len(folders) > len(p)]
    return any(_kind(split) for split in splits)


def _check_classes(
    names: list[str], inside: list[str], parents: list[Folder], shared: Folder
) -> None:
    """Raises DataError if several folders with splits are not the classes of one data set."""
    depth = len(parents[0])
    are_siblings = {parent[:-1] for parent in parents} == {shared} and depth == len(shared) + 1
    nested = any(name.count("/") > depth + 1 for name in inside)
    if not are_siblings or nested or len(inside) < len(names):
        raise _several(parents)


def _train_alone(
    names: list[str], shared: Folder, train: list[str], tops: set[str], labels: bool | str
) -> Splits:
    """Returns the split of a training folder without a test folder.

    Raises:
        DataError: the folder could also be a class.
    """
    _check_one(train, "training")
    depth = len(shared)
    inside = [name for name in names if name.split("/")[depth] == train[0] and "/" in name]
    taken = {*inside}
    siblings = [name for name in names if name.count("/") > depth and name not in taken]
    alike = all(name.count("/") == depth + 1 for name in inside) or any(
        name.count("/") > depth + 1 for name in siblings
    )
    if siblings and alike and labels is not False:
        others = _listed(tops - {train[0]})
        raise DataError(
            f"{train[0]}/ is next to {others}, so it could be a split or a class: set the path to "
            "train/ if it is a split, or data.labels=true if they are classes"
        )
    return Splits(inside, {}, depth + 1)


def _several(parents: Iterable[Folder]) -> DataError:
    folders = _listed({"/".join(parent) or "." for parent in parents})
    return DataError(
        f"several folders contain split folders ({folders}): set the path to one of them"
    )


def _check_one(folders: list[str], what: str) -> None:
    if len(folders) > 1:
        raise DataError(f"several {what} folders ({_listed(folders)}): keep one")


def _kind(folder: str) -> str | None:
    name = folder.lower()
    return "train" if is_train(name) else "test" if name in TEST_FOLDERS else None


def _listed(folders: set[str] | list[str]) -> str:
    return first_of([f"{folder}/" for folder in sorted(folders)], _LISTED)
