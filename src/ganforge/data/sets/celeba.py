from __future__ import annotations

import logging
from pathlib import Path
from typing import Unpack

from ganforge.data.files.download import Origin
from ganforge.data.files.entries import open_entries
from ganforge.data.sets.file_data import FileData
from ganforge.data.settings import PhotographSettings
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.plain_text import one_line

_log = logging.getLogger(__name__)

_IMAGES = "img_align_celeba"
_PARTITIONS = ("list_eval_partition.txt", "list_eval_partition.csv")  # original; Kaggle's copy
_TEST = "2"
_CROP = 178  # the width of the aligned images, 178x218


class CelebA(FileData):
    """CelebA, aligned (Liu et al. 2015, arXiv:1411.7766): 202,599 faces, 178x218 RGB.

    The central 178x178 pixels are resized. The train split is the official training and validation
    parts, 182,637 faces; the test split is the official test part, 19,962 faces. Without the
    partition file, all images are used for training. Labels are not provided.

    Args:
        root: folder that contains ``img_align_celeba/`` or its zip, directly or in ``celeba/``;
            None to download into the cache.
        name: name of the data set in runs and tables.
        mirror: flip training images horizontally with probability 1/2.
        **settings: see :class:`ganforge.data.FileData`; channels are 3, or 1 for gray.
    """

    def __init__(
        self,
        root: str | None = None,
        name: str = "celeba",
        *,
        mirror: bool = True,
        **settings: Unpack[PhotographSettings],
    ) -> None:
        super().__init__(name, mirror=mirror, **settings)
        self.root = root
        files = (f"celeba/{_IMAGES}.zip or celeba/{_IMAGES}/", f"celeba/{_PARTITIONS[0]}")
        self.origin = Origin(
            "celeba",
            files,
            _find,
            _download,
            "Its home is https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html.",
        )

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits, or only the train split without a partition file."""
        path = self.located()
        entries = open_entries(path)
        parts = _partition(path)
        named: dict[str, list[str]] = {"train": [], "test": []}
        for name in entries.names:
            part = parts.get(Path(name).name) if parts else "0"
            if part is not None:
                named["test" if part == _TEST else "train"].append(name)
        _check_partition(path, len(entries.names), named)
        return {
            split: self.source(entries, names, crop=_CROP)
            for split, names in named.items()
            if names
        }


def _download(root: Path) -> None:
    from torchvision import datasets

    datasets.CelebA(str(root), download=True)


def _find(root: Path) -> Path | None:
    for folder in (root / "celeba", root):
        for path in (folder / _IMAGES, folder / f"{_IMAGES}.zip"):
            if path.exists():
                return path
    return None


def _partition(images: Path) -> dict[str, str]:
    """Returns the part of each image: 0 train, 1 validation, 2 test; empty without the file."""
    files = [images.parent / name for name in _PARTITIONS]
    path = next((path for path in files if path.is_file()), None)
    if path is None:
        _log.warning(
            "data=celeba: training on all images, because there is no %s next to %s",
            " or ".join(_PARTITIONS),
            one_line(images),
        )
        return {}
    lines = path.read_text("utf-8-sig", errors="replace").splitlines()
    rows = [line.replace(",", " ").split() for line in lines if line.strip()]
    rows = rows[1:] if rows and rows[0] == ["image_id", "partition"] else rows
    if any(len(row) != 2 or row[1] not in ("0", "1", "2") for row in rows):
        raise DataError(f"{path} is damaged: expected lines such as 000001.jpg 0")
    return {row[0]: row[1] for row in rows}


def _check_partition(path: Path, count: int, named: dict[str, list[str]]) -> None:
    listed = sum(map(len, named.values()))
    if listed == 0:
        raise DataError(f"{path}: none of its {count} images is in {' or '.join(_PARTITIONS)}")
    if listed < count:
        _log.warning("data=celeba: skipped %d images that are in no part", count - listed)
