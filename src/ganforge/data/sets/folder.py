from __future__ import annotations

from typing import Any, Unpack

import torch

from ganforge.data.files.entries import open_entries
from ganforge.data.files.layout import Layout, read_former_layout, read_layout
from ganforge.data.files.value_range import read_range
from ganforge.data.sets.file_data import FileData
from ganforge.data.settings import FolderSettings
from ganforge.data.source import ImageSource, holdout
from ganforge.errors import ConfigError, DataError
from ganforge.paths import local_path
from ganforge.plain_text import one_line

FORMER = 1  # layout of runs that predate the recording of class names


class ImageFolder(FileData):
    """Any images: a folder tree, zip or tar of mixed sizes and color modes.

    Each image is rotated according to its EXIF orientation, cropped to the central square and
    resized. Folders ``train`` and ``test`` (or ``val``) are the splits, regardless of other folders
    next to them; the class folders in ``train`` are the classes. Without a test folder, the share
    ``holdout`` of a labelled set is held out to evaluate classifiers, and an unlabelled set is
    used for training as a whole.

    Args:
        path: a folder, zip or tar.
        name: name of the data set in runs and tables.
        labels: "auto" uses folders as classes if all training images are in two or more of
            them; true requires that, false ignores folders.
        holdout: held-out share of a labelled data set without a test folder.
        range: [lo, hi], the values of 16-bit, 32-bit and float images that map to black and
            white; None to detect them.
        class_names: class folders in the order of their labels; None for all class folders in
            natural order. Runs record the detected names here.
        layout: 2; 1 applies the rules of runs that predate the recording of class names.
        **settings: see :class:`ganforge.data.FileData`; ``num_classes`` is the expected number of
            class folders, 0 for any number. Transparency is blended with white, unless
            ``channels`` includes alpha.
    """

    finds_classes = True

    def __init__(
        self,
        path: str | None = None,
        name: str = "folder",
        *,
        labels: bool | str = "auto",
        holdout: float = 0.1,
        range: list[float] | dict[str, Any] | None = None,
        class_names: list[str] | None = None,
        layout: int = 2,
        **settings: Unpack[FolderSettings],
    ) -> None:
        super().__init__(name, **settings)
        if not path:
            raise ConfigError("data=folder needs data.path=PATH, a folder, zip or tar of images")
        if labels not in (True, False, "auto"):
            raise ConfigError(f"labels must be auto, true or false, got {labels!r}")
        if not 0 <= holdout < 1:
            raise ConfigError(f"holdout must be at least 0 and below 1, got {holdout}")
        if layout not in (FORMER, 2):
            raise ConfigError(f"layout must be 1 or 2, got {layout}")
        self.path = local_path(path, "data.path")
        self.labels = labels
        self.holdout = holdout
        self.range = range
        read_range(range)
        self.layout = layout
        self.class_names = class_names or []
        self._order = class_names
        self._expected = self.num_classes

    def prepare_data(self) -> None:
        """Raises DataError if the path does not exist."""
        if not self.path.exists():
            raise DataError(f"{self.path} does not exist; expected a folder, zip or tar of images")

    def find_classes(self) -> Layout:
        """Returns the splits and classes given by the folders, without decoding images.

        Raises:
            DataError: the folders are ambiguous, or the classes are in files, as for WebDataset.
        """
        entries = open_entries(self.path, quiet=True)
        if entries.class_files and self.labels is not False and self.path.is_file():
            raise DataError(
                f"{one_line(self.path)} has classes in .cls files, which data=folder does not "
                f"read: use data=webdataset data.urls={one_line(self.path)}, or data.labels=false "
                "to train without classes"
            )
        return self._layout(entries.names)

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits given by the folders, or a train split and a held-out share."""
        entries = open_entries(self.path)
        layout = self._layout(entries.names)
        self.class_names = layout.classes
        self.skipped, self.remarks = layout.unused, layout.remarks
        used = [name for names in layout.names.values() for name in names]
        span = self.span(entries, used if self.layout > FORMER else entries.names)
        sources = {}
        for split, names in layout.names.items():
            labels = layout.labels.get(split)
            numbers = None if labels is None else torch.tensor(labels, dtype=torch.int64)
            sources[split] = self.source(entries, names, numbers, span=span)
        train = sources["train"]
        count = round(self.holdout * len(train))
        if train.labels is not None and "test" not in sources and count:
            train_indices, test_indices = holdout(train.labels, count, spare=self.layout > FORMER)
            sources = {"train": train.subset(train_indices)}
            sources |= {"test": train.subset(test_indices)} if len(test_indices) else {}
        return dict(sources)

    def _layout(self, names: list[str]) -> Layout:
        """Returns the layout of the folders, and sets the number of classes."""
        try:
            if self.layout == FORMER:
                layout = read_former_layout(names, self.labels)
            else:
                layout = read_layout(names, self.labels, self._order)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from error
        count = len(layout.classes)
        if self._expected not in (0, count):
            why = "".join(f"; {remark}" for remark in layout.remarks)
            raise DataError(
                f"{self.path} has {count} class folders, but num_classes={self._expected}{why}"
            )
        self.num_classes = count
        return layout
