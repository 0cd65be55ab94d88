from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any, Unpack

import torch

from ganforge.data.files.encoded import first_of
from ganforge.data.files.layout import Layout
from ganforge.data.files.range_scan import HEADERS, spread
from ganforge.data.files.value_range import Span, read_range
from ganforge.data.module import at_least
from ganforge.data.sets.file_data import FileData
from ganforge.data.settings import StreamedSettings
from ganforge.data.shards.downloads import Downloads, check_room
from ganforge.data.shards.entries import Shard, ShardEntries
from ganforge.data.shards.index import ShardIndex
from ganforge.data.shards.labels import Numbered, number_labels
from ganforge.data.shards.opening import SUMMARY, open_shards, read_next_to
from ganforge.data.shards.places import is_remote
from ganforge.data.shards.remote import Remote
from ganforge.data.shards.source import ShardSource
from ganforge.data.source import ImageSource, holdout
from ganforge.errors import ConfigError, DataError

_LISTED = 3


class ShardData(FileData):
    """Base class of data sets in shards: files that hold many images each.

    Each epoch reads the shards in a random order, a few at a time: the images of the next
    ``shuffle`` images' worth of shards are mixed. The order is a function of (seed, images seen),
    whatever the number of processes and loader processes, and wherever the shards are. Each image
    is read by its place in its shard, which is found once and kept in the cache.

    Remote shards are copied into the cache before they are read, up to ``shard_cache_gb``; an image
    whose shard is not there yet is read as a byte range.

    Args:
        name: name of the data set in runs and tables.
        shuffle: number of images that are shuffled together.
        shard_cache_gb: largest total size of copies of remote shards, in GB; 0 reads only byte
            ranges.
        labels: "auto" uses labels if all training images have one, of two or more classes; true
            requires that; false ignores labels.
        holdout: held-out share of a labelled data set without test shards.
        range: [lo, hi], the values of 16-bit, 32-bit and float images that map to black and
            white; None to detect them.
        class_names: classes in the order of their labels; None for those of the shards. Runs
            record them here.
        cache: see :class:`ganforge.data.ImageDataModule`; by default shards are not decoded once.
        **settings: see :class:`ganforge.data.FileData`; ``num_classes`` is the expected number of
            classes, 0 for any number.
    """

    finds_classes = True

    def __init__(
        self,
        name: str,
        *,
        shuffle: int = 50_000,
        shard_cache_gb: float = 50.0,
        labels: bool | str = "auto",
        holdout: float = 0.1,
        range: list[float] | dict[str, Any] | None = None,
        class_names: list[str] | None = None,
        cache: bool | str = False,
        **settings: Unpack[StreamedSettings],
    ) -> None:
        super().__init__(name, cache=cache, **settings)
        at_least("shuffle", shuffle, 1)
        if not _is_number(shard_cache_gb) or not 0 <= shard_cache_gb < float("inf"):
            raise ConfigError(f"shard_cache_gb must be at least 0, got {shard_cache_gb!r}")
        if labels not in (True, False, "auto"):
            raise ConfigError(f"labels must be auto, true or false, got {labels!r}")
        if not _is_number(holdout) or not 0 <= holdout < 1:
            raise ConfigError(f"holdout must be at least 0 and below 1, got {holdout!r}")
        self.shuffle = shuffle
        self.shard_cache_gb = shard_cache_gb
        self.labels = labels
        self.holdout = holdout
        self.range = range
        read_range(range)
        self.class_names = class_names or []
        self._order = class_names
        self._expected = self.num_classes
        self._remote = Remote()
        self._opened: dict[str, list[Shard]] | None = None

    @property
    def path(self) -> PurePath:
        """The place of the shards, for messages."""
        raise NotImplementedError

    def places(self) -> dict[str, list[str]]:
        """Returns the path or URL of each shard of ``train`` and, if there are any, ``test``."""
        raise NotImplementedError

    def scan(self, place: str, size: int) -> ShardIndex:
        """Returns the index of a shard, by reading it."""
        raise NotImplementedError

    def prepare_data(self) -> None:
        """Raises DataError if a shard is missing or damaged."""
        self._shards()

    def find_classes(self) -> Layout:
        """Returns the classes of the shards, without reading images."""
        shards = self._shards()
        numbered = self._numbered(shards)
        return Layout({}, numbered.classes, {}, remarks=numbered.remarks)

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits that the shards give, or a train split and a held-out share."""
        shards = self._shards()
        numbered = self._numbered(shards)
        self.class_names, self.num_classes = numbered.classes, len(numbered.classes)
        self.remarks = numbered.remarks
        entries = self._entries([shard for part in shards.values() for shard in part])
        self.skipped = [first_of([*entries.skipped], _LISTED)] if entries.skipped else []
        first = sum(len(shard.index.names) for shard in shards["train"])
        named = {"train": entries.names[:first], "test": entries.names[first:]}
        if not named["train"]:
            raise DataError(f"{self.path}: its shards contain no images")
        entries.fetch(spread(entries.names, HEADERS))
        span = self.span(entries, entries.names)
        labels = {"train": numbered.train, "test": numbered.test}
        sources = {
            split: self._shard_source(entries, names, labels[split], span)
            for split, names in named.items()
            if names
        }
        return {**self._with_holdout(sources)}

    def _shard_source(
        self, entries: ShardEntries, names: list[str], labels: torch.Tensor | None, span: Span
    ) -> ShardSource:
        return ShardSource(
            entries,
            names,
            self.image_size,
            self.channels,
            labels,
            self.max_unreadable,
            span,
            self.shuffle,
            self.draft,
        )

    def _with_holdout(self, sources: dict[str, ShardSource]) -> dict[str, ImageSource]:
        train = sources["train"]
        count = round(self.holdout * len(train))
        if train.labels is None or "test" in sources or not count:
            return {**sources}
        train_indices, test_indices = holdout(train.labels, count, spare=True)
        parts: dict[str, ImageSource] = {"train": train.subset(train_indices)}
        return parts | ({"test": train.subset(test_indices)} if len(test_indices) else {})

    def _entries(self, shards: list[Shard]) -> ShardEntries:
        far = [shard for shard in shards if is_remote(shard.place)]
        most = int(self.shard_cache_gb * 1e9)
        if not far or not most:
            return ShardEntries(shards, self._remote)
        images = sum(len(shard.index.names) for shard in far)
        check_room(most, [shard.index.size for shard in far], images, self.shuffle)
        return ShardEntries(shards, self._remote, Downloads(self._remote, most))

    def _shards(self) -> dict[str, list[Shard]]:
        if self._opened is None:
            places = self.places()
            # Opened together, so that the names of both splits start at the same folder.
            opened = open_shards(
                [*places["train"], *places.get("test", [])], self.scan, self._remote
            )
            count = len(places["train"])
            self._opened = {"train": opened[:count], "test": opened[count:]}
        return self._opened

    def _numbered(self, shards: dict[str, list[Shard]]) -> Numbered:
        train, test = (
            [label for shard in shards[split] for label in shard.index.labels]
            for split in ("train", "test")
        )
        try:
            names = self._prepared_names(shards)
            numbered = number_labels(train, test, self.labels, names, self._order)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from error
        if self._expected not in (0, len(numbered.classes)):
            why = "".join(f"; {remark}" for remark in numbered.remarks)
            raise DataError(
                f"{self.path} has {len(numbered.classes)} classes, but "
                f"num_classes={self._expected}{why}"
            )
        return numbered

    def _prepared_names(self, shards: dict[str, list[Shard]]) -> list[str]:
        """Returns the class names that `ganforge prepare` has stored next to the shards.

        Raises:
            DataError: what it has stored is damaged, or lists training shards, none of which is
                here: those of the test split would be trained on.
        """
        data = read_next_to(shards["train"][0].place, SUMMARY, self._remote)
        if data is None:
            return []
        try:
            summary = json.loads(data)
            names = summary["class_names"]
            files = [shard["file"] for shard in summary["splits"]["train"]["shards"]]
            listed = {PurePath(file).name for file in files}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"{SUMMARY} next to its shards is damaged: {error}") from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{SUMMARY} next to its shards is damaged: class_names")
        if listed and not any(PurePath(shard.place).name in listed for shard in shards["train"]):
            missing = first_of(sorted(listed), _LISTED)
            raise DataError(f"the training shards that {SUMMARY} lists are missing: {missing}")
        return names


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
