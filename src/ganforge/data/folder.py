from __future__ import annotations

from typing import Any

import torch

from ganforge.data.entries import Entries, open_entries
from ganforge.data.files import FileSource
from ganforge.data.image_data import ImageDataModule
from ganforge.data.layout import class_of, split_names
from ganforge.data.source import ImageSource, holdout
from ganforge.data.value_range import Span, read_range
from ganforge.errors import ConfigError, DataError
from ganforge.paths import typed_path


class ImageFolder(ImageDataModule):
    """Any images: a folder tree, zip or tar of mixed sizes and colour modes.

    Each is turned upright by its EXIF orientation, cut to its central square and resized. Folders
    ``train`` and ``test`` (or ``val``) are the splits. Otherwise ``holdout`` of a labelled set is
    held out for judging classifiers, and an unlabelled one is trained on as a whole.

    Args:
        path: a folder, zip or tar.
        name: what runs and tables call the data set.
        image_size: side of the resized images.
        channels: 1 grey, 3 RGB (transparency laid on white), 2 and 4 the same with alpha.
        num_classes: expected number of class folders; 0 for as many as there are.
        labels: "auto" takes folders as classes where all images lie in two or more of them; true
            insists on that, false ignores folders.
        holdout: share of a labelled data set without test folder that is not trained on.
        max_unreadable: unreadable files that are listed and skipped.
        batch_size: images of one critic update, over all processes.
        workers: loader processes; None for 0 with images in memory and up to 4 with streams.
        seed: the run's seed.
        mirror: flip images at random.
        max_images: train on that many images only.
        in_memory: whether images are decoded at the start; "auto" up to ``memory_limit_mb``.
        memory_limit_mb: see ``in_memory``.
        range: [lo, hi] that become black and white of 16-bit, 32-bit and float images; None for
            the set's own.
    """

    def __init__(
        self,
        path: str | None = None,
        name: str = "folder",
        image_size: int = 64,
        channels: int = 3,
        num_classes: int = 0,
        labels: bool | str = "auto",
        holdout: float = 0.1,
        max_unreadable: int = 10,
        batch_size: int = 64,
        workers: int | None = None,
        seed: int = 0,
        mirror: bool = False,
        max_images: int | None = None,
        in_memory: bool | str = "auto",
        memory_limit_mb: int = 4096,
        range: list[float] | dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            name,
            image_size,
            channels,
            num_classes,
            batch_size,
            workers,
            seed,
            mirror,
            max_images,
            in_memory,
            memory_limit_mb,
        )
        if not path:
            raise ConfigError("data=folder needs data.path=PATH, a folder, zip or tar of images")
        if labels not in (True, False, "auto"):
            raise ConfigError(f"labels must be auto, true or false, got {labels!r}")
        if not 0 <= holdout < 1:
            raise ConfigError(f"holdout must be at least 0 and below 1, got {holdout}")
        if max_unreadable < 0:
            raise ConfigError(f"max_unreadable must be at least 0, got {max_unreadable}")
        self.path = typed_path(path)
        self.labels = labels
        self.holdout = holdout
        self.max_unreadable = max_unreadable
        self.range = range
        read_range(range)

    def prepare_data(self) -> None:
        """Refuses a path that does not exist."""
        if not self.path.exists():
            raise DataError(f"{self.path} does not exist: give a folder, zip or tar of images")

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits that the folders give, or one split held out by label."""
        entries = open_entries(self.path)
        splits, prefix = split_names(entries.names)
        classes = self._classes(splits, prefix)
        span = self.span(entries, entries.names)
        sources = {
            split: self._source(entries, names, prefix[split], classes, span)
            for split, names in splits.items()
        }
        train = sources["train"]
        count = round(self.holdout * len(train))
        if train.labels is not None and "test" not in sources and count:
            kept, held_out = holdout(train.labels, count)
            sources = {"train": train.subset(kept), "test": train.subset(held_out)}
        return dict(sources)

    def _classes(self, splits: dict[str, list[str]], prefix: dict[str, int]) -> list[str]:
        """Decides on the class folders, and the number of classes with them."""
        found = [class_of(name, prefix[split]) for split in splits for name in splits[split]]
        classes = sorted({name for name in found if name is not None})
        labelled = self.labels is not False and len(classes) > 1 and None not in found
        if self.labels is True and not labelled:
            raise DataError(
                f"{self.path} has no labels: labels=true needs every image in one of two or more "
                f"class folders, found {len(classes)}"
            )
        classes = classes if labelled else []
        if self.num_classes not in (0, len(classes)):
            raise DataError(
                f"{self.path} has {len(classes)} class folders, but num_classes={self.num_classes}"
            )
        self.num_classes = len(classes)
        return classes

    def _source(
        self, entries: Entries, names: list[str], prefix: int, classes: list[str], span: Span
    ) -> FileSource:
        places = {name: place for place, name in enumerate(classes)}
        labels = None
        if classes:
            labels = torch.tensor([places[str(class_of(name, prefix))] for name in names])
        return FileSource(
            entries, names, self.image_size, self.channels, labels, None, self.max_unreadable, span
        )
