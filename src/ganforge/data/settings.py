"""Types of the keyword arguments that data sets pass to their base classes.

A data set with its own default for an argument declares that argument and passes a TypedDict
without it: type checkers reject a key that duplicates a named argument.
"""

from __future__ import annotations

from typing import Any, TypedDict


class DataSettings(TypedDict, total=False):
    """Keyword arguments of every data set."""

    seed: int
    max_images: int | None


class MemorySettings(DataSettings, total=False):
    """Keyword arguments of data sets in memory."""

    workers: int
    mirror: bool


class SizedSettings(MemorySettings, total=False):
    """MemorySettings, and the size."""

    image_size: int


class GreySettings(SizedSettings, total=False):
    """Every keyword argument of data sets in memory."""

    channels: int
    num_classes: int
    batch_size: int


class BatchedSettings(MemorySettings, total=False):
    """MemorySettings, and the batch size."""

    batch_size: int


class GeneratedSettings(BatchedSettings, total=False):
    """BatchedSettings, and the shape."""

    image_size: int
    channels: int


class ColorSettings(DataSettings, total=False):
    """GeneratedSettings without ``mirror``."""

    image_size: int
    channels: int
    batch_size: int
    workers: int


class KeptSettings(DataSettings, total=False):
    """DecodedSettings without ``cache``."""

    in_memory: bool | str
    memory_limit_mb: int
    cache_limit_mb: int


class DecodedSettings(KeptSettings, total=False):
    """DataSettings, and the settings on where decoded image files are kept."""

    cache: bool | str


class FileSettings(DecodedSettings, total=False):
    """Keyword arguments that FileData passes on."""

    channels: int
    num_classes: int
    batch_size: int
    mirror: bool


class EncodedSettings(KeptSettings, total=False):
    """PhotographSettings without ``cache``."""

    image_size: int
    channels: int
    num_classes: int
    batch_size: int
    workers: int | None
    max_unreadable: int
    draft: bool | None


class PhotographSettings(EncodedSettings, DecodedSettings, total=False):
    """Keyword arguments of photographs in files, except ``mirror``."""


class StreamedSettings(EncodedSettings, total=False):
    """FolderSettings without ``cache``."""

    mirror: bool


class ShardSettings(StreamedSettings, total=False):
    """Every keyword argument of data sets in shards."""

    cache: bool | str
    shuffle: int
    shard_cache_gb: float
    labels: bool | str
    holdout: float
    range: list[float] | dict[str, Any] | None
    class_names: list[str] | None


class FolderSettings(PhotographSettings, total=False):
    """PhotographSettings, and ``mirror``."""

    mirror: bool
