from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Unpack

from ganforge.data.files.folder_entries import open_data
from ganforge.data.files.split_folders import TEST_FOLDERS, TRAIN_FOLDERS
from ganforge.data.sets.shard_data import ShardData
from ganforge.data.settings import ShardSettings
from ganforge.data.shards.index import ShardIndex
from ganforge.data.shards.places import expanded, is_remote, read_urls
from ganforge.data.shards.tar_scan import scan_tar
from ganforge.errors import ConfigError

_WORD = re.compile(r"[A-Za-z]+")


class WebDataset(ShardData):
    """Images in tars in the layout of WebDataset (Aizman et al. 2020, arXiv:2001.01858).

    The files of a sample share a name: an image (jpg, jpeg, png or webp) and, for its class, a
    ``.cls`` with a number or name, or ``label``, ``cls`` or ``class`` in a ``.json``. Tars are not
    compressed. Without ``test_urls``, tars with the word ``test`` or ``val`` in their names,
    or in a folder of that name, are the test split, if there are others.

    Args:
        urls: paths, patterns (``*``), brace ranges (``{000..099}``) and URLs (s3, http, https) of
            the tars, one or a list; commands (``pipe:``) are rejected.
        name: name of the data set in runs and tables.
        test_urls: those of the test split.
        **settings: see :class:`ganforge.data.ShardData`.
    """

    def __init__(
        self,
        urls: str | list[str] | None = None,
        name: str = "webdataset",
        *,
        test_urls: str | list[str] | None = None,
        **settings: Unpack[ShardSettings],
    ) -> None:
        super().__init__(name, **settings)
        if not urls:
            raise ConfigError(f"data={name} needs data.urls=URLS, such as data.urls='DIR/*.tar'")
        self.urls = read_urls(urls, "data.urls")
        self.test_urls = read_urls(test_urls or [], "data.test_urls")

    @property
    def path(self) -> PurePath:
        """The folder of the first of the URLs, for messages."""
        return PurePath(self.urls[0]).parent

    def places(self) -> dict[str, list[str]]:
        """Returns the tars of each split."""
        places = expanded(self.urls, self._remote)
        if self.test_urls:
            return {"train": places, "test": expanded(self.test_urls, self._remote)}
        test = [place for place in places if is_test(place)]
        train = [place for place in places if not is_test(place)]
        return {"train": train, "test": test} if train else {"train": test, "test": []}

    def scan(self, place: str, size: int) -> ShardIndex:
        """Returns the index of a tar."""
        with self._remote.stream(place) if is_remote(place) else open_data(Path(place)) as file:
            return scan_tar(file, size)


def is_test(place: str) -> bool:
    """Whether a word in the name of a shard, or else its folder, is the name of a test split."""
    *_, folder, name = f"/{place.partition('?')[0]}".replace("\\", "/").split("/")
    words = {word.lower() for word in _WORD.findall(name)}
    if words & {*TRAIN_FOLDERS, *TEST_FOLDERS}:
        return not words & {*TRAIN_FOLDERS}
    return folder.lower() in TEST_FOLDERS
