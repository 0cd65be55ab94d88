from __future__ import annotations

from typing import Unpack

from torch import Tensor

from ganforge.data.files.encoded import Entries
from ganforge.data.files.source import FileSource
from ganforge.data.files.value_range import ONLY_BYTES, Span
from ganforge.data.module import ImageDataModule, at_least
from ganforge.data.settings import FileSettings
from ganforge.errors import ConfigError


class FileData(ImageDataModule):
    """Base class of data sets of image files, which are cropped to squares and resized.

    Args:
        name: name of the data set in runs and tables.
        image_size: side of the resized images.
        workers: loader processes; see :class:`ganforge.data.ImageDataModule`.
        max_unreadable: number of unreadable files to log and skip; more are an error.
        draft: decode JPEGs at 1/2, 1/4 or 1/8 of their size where that is at least ``image_size``,
            which is faster. Pixels then differ slightly, and scores are not comparable with those
            of full decoding. None is false.
        **settings: see :class:`ganforge.data.ImageDataModule`.
    """

    def __init__(
        self,
        name: str,
        image_size: int = 64,
        *,
        workers: int | None = None,
        max_unreadable: int = 10,
        draft: bool | None = None,
        **settings: Unpack[FileSettings],
    ) -> None:
        super().__init__(name, image_size, workers=workers, **settings)
        at_least("max_unreadable", max_unreadable, 0)
        if draft not in (None, True, False):
            raise ConfigError(f"draft must be true, false or null, got {draft!r}")
        self.max_unreadable = max_unreadable
        self.draft = bool(draft)

    def source(
        self,
        entries: Entries,
        names: list[str],
        labels: Tensor | None = None,
        crop: int | None = None,
        span: Span = ONLY_BYTES,
    ) -> FileSource:
        """Returns the images ``names``; see :class:`ganforge.data.FileSource`."""
        sizes = self.image_size, self.channels
        return FileSource(
            entries, names, *sizes, labels, crop, self.max_unreadable, span, self.draft
        )
