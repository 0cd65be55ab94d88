"""Arguments of ImageDataModule that data sets pass on to it.

A data set with a default of its own for an argument declares that argument, and passes on a
TypedDict without it: type checkers refuse a key beside an argument of the same name.
"""

from __future__ import annotations

from typing import TypedDict


class DataSettings(TypedDict, total=False):
    """What every data set passes on."""

    seed: int
    max_images: int | None


class DecodedSettings(DataSettings, total=False):
    """DataSettings, and where images in files are decoded."""

    in_memory: bool | str
    memory_limit_mb: int


class FileSettings(DecodedSettings, total=False):
    """What data sets in image files pass on."""

    num_classes: int
    batch_size: int


class FolderSettings(FileSettings, total=False):
    """FileSettings, and ``mirror``."""

    mirror: bool


class MemorySettings(DataSettings, total=False):
    """What data sets in memory pass on."""

    workers: int


class BatchedSettings(MemorySettings, total=False):
    """MemorySettings, and ``batch_size``."""

    batch_size: int


class MirroredSettings(MemorySettings, total=False):
    """MemorySettings, and ``mirror``."""

    mirror: bool


class GeneratedSettings(MirroredSettings, total=False):
    """MemorySettings, ``mirror`` and ``batch_size``."""

    batch_size: int
