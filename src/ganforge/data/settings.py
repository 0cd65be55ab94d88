"""Types of the keyword arguments that data sets pass to ImageDataModule.

A data set with its own default for an argument declares that argument and passes a TypedDict
without it: type checkers reject a key that duplicates a named argument.
"""

from __future__ import annotations

from typing import TypedDict


class DataSettings(TypedDict, total=False):
    """Keyword arguments of every data set."""

    seed: int
    max_images: int | None


class DecodedSettings(DataSettings, total=False):
    """DataSettings, and the settings for decoding image files into memory."""

    in_memory: bool | str
    memory_limit_mb: int


class FileSettings(DecodedSettings, total=False):
    """Keyword arguments of data sets read from image files."""

    num_classes: int
    batch_size: int


class FolderSettings(FileSettings, total=False):
    """FileSettings, and ``mirror``."""

    mirror: bool


class MemorySettings(DataSettings, total=False):
    """Keyword arguments of data sets in memory."""

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
