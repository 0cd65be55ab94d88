from __future__ import annotations

import json
import mmap
from pathlib import Path, PurePath
from typing import Any, Unpack

from ganforge.data.files.folder_entries import open_data
from ganforge.data.files.split_folders import TEST_FOLDERS, TRAIN_FOLDERS
from ganforge.data.sets.shard_data import ShardData
from ganforge.data.settings import ShardSettings
from ganforge.data.shards.chunk_scan import ChunkFormat, read_format, scan_chunk
from ganforge.data.shards.index import ShardIndex
from ganforge.data.shards.opening import read_next_to
from ganforge.data.shards.places import is_remote, read_urls
from ganforge.data.shards.remote import RemoteFile
from ganforge.errors import ConfigError, DataError
from ganforge.paths import typed_path
from ganforge.plain_text import one_line

_INDEX = "index.json"


class LitData(ShardData):
    """Images in the chunks of LitData, as ``litdata.optimize`` writes them.

    Items are dictionaries with an image (``image``) and, optionally, a class (``label``), a number
    or name; the image is stored as a file (JPEG, PNG, ...) or as an image of Pillow. Chunks are
    read without LitData, which would execute what a pickled item contains, and are not compressed.

    Args:
        dir: folder or URL (s3, http, https) with an ``index.json``, or with a folder ``train`` and,
            optionally, ``test`` or ``val`` that have one.
        name: name of the data set in runs and tables.
        test_dir: that of the test split.
        **settings: see :class:`ganforge.data.ShardData`.
    """

    def __init__(
        self,
        dir: str | None = None,
        name: str = "litdata",
        *,
        test_dir: str | None = None,
        **settings: Unpack[ShardSettings],
    ) -> None:
        super().__init__(name, **settings)
        if not dir:
            raise ConfigError(f"data={name} needs data.dir=DIR, a folder that LitData has written")
        self.dir = _folder(dir, "data.dir")
        self.test_dir = _folder(test_dir, "data.test_dir") if test_dir else None
        self._formats: dict[str, ChunkFormat] = {}

    @property
    def path(self) -> PurePath:
        """The folder, for messages."""
        return PurePath(self.dir)

    def places(self) -> dict[str, list[str]]:
        """Returns the chunks of each split."""
        train = self._chunks(self.dir)
        found = self.dir if train is not None else ""
        for name in () if train is not None else TRAIN_FOLDERS:
            train = self._chunks(f"{self.dir}/{name}") if train is None else train
        if train is None:
            raise DataError(
                f"{self.path} has no {_INDEX}, and no {TRAIN_FOLDERS[0]}/{_INDEX}: expected a "
                "folder that LitData has written"
            )
        return {"train": train, "test": self._test_chunks(found)}

    def scan(self, place: str, size: int) -> ShardIndex:
        """Returns the index of a chunk."""
        layout = self._formats[place]
        if is_remote(place):
            return scan_chunk(RemoteFile(self._remote, place, size), layout)
        with open_data(Path(place)) as file:
            if size == 0:
                raise DataError("is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return scan_chunk(data, layout)

    def _test_chunks(self, alone: str) -> list[str]:
        """Returns the chunks of the test split.

        Args:
            alone: the folder, if it has the chunks of the training images itself.
        """
        if self.test_dir is not None:
            chunks = self._chunks(self.test_dir)
            if chunks is None:
                raise DataError(f"{self.test_dir} has no {_INDEX}")
            return chunks
        for name in () if alone else TEST_FOLDERS:
            if (chunks := self._chunks(f"{self.dir}/{name}")) is not None:
                return chunks
        return []

    def _chunks(self, folder: str) -> list[str] | None:
        """Returns the chunks of a folder; None if it has no index."""
        data = read_next_to(f"{folder}/{_INDEX}", _INDEX, self._remote)
        if data is None:
            return None
        try:
            index: dict[str, Any] = json.loads(data)
            layout = read_format(index["config"])
            names = [chunk["filename"] for chunk in index["chunks"]]
        except DataError as error:
            raise DataError(f"{one_line(folder)}: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{one_line(folder)}/{_INDEX} is damaged: {error!r}") from error
        places = []
        for name in names:
            if not isinstance(name, str) or name in ("", ".", "..") or {*"/\\?"} & {*name}:
                raise DataError(f"{one_line(folder)}/{_INDEX} is damaged: a chunk named {name!r}")
            places.append(f"{folder}/{name}")
            self._formats[places[-1]] = layout
        return places


def _folder(text: str, key: str) -> str:
    (url,) = read_urls(text, key)
    return url.rstrip("/") if is_remote(url) else str(typed_path(url.removeprefix("file://")))
