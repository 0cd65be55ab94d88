"""Images from outside of ganforge: a folder tree, a zip or tar, or an array in an NPZ file."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganforge.data.files.decoding import reason_of, squared, upright_header
from ganforge.data.files.encoded import first_of
from ganforge.data.files.entries import open_entries
from ganforge.data.files.range_scan import SCANNED, joined, spread
from ganforge.data.files.source import FileSource
from ganforge.data.files.value_range import ONLY_BYTES, Span, is_deep
from ganforge.data.source import ImageSource, hash_of
from ganforge.errors import ConfigError, DataError
from ganforge.paths import typed_path
from ganforge.plain_text import one_line

_log = logging.getLogger(__name__)

GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
ARRAYS = ("images", "arr_0")  # names used by `ganforge sample` and by other evaluation suites


class ExternalImages:
    """A set of images given by a path.

    Attributes:
        path: the folder or file.
        sizes: all distinct (width, height) of the images, in pixels.
        grey: whether all images are grayscale.
        span: value range of images that are not 8-bit.
    """

    path: Path
    sizes: set[tuple[int, int]]
    grey: bool
    span: Span | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def source(self, image_size: int, channels: int) -> ImageSource:
        """Returns the images, cropped to the central square and resized to ``image_size``.

        Args:
            image_size: side of the square images.
            channels: 1 gray or 3 RGB; transparent pixels are blended with white.
        """
        raise NotImplementedError


class ExternalFiles(ExternalImages):
    """Encoded images in a folder tree, zip or tar; its folders have no meaning.

    Args:
        path: the folder or archive.

    Raises:
        DataError: there are no images, or one cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = open_entries(path)
        self.sizes = set()
        self.grey = True
        self.deep: list[str] = []
        for name in self.entries.names:
            self._inspect(name)

    def __len__(self) -> int:
        return len(self.entries.names)

    def source(self, image_size: int, channels: int) -> ImageSource:
        """Returns the images, decoded on read; a damaged image then raises DataError."""
        names = self.entries.names
        span = self.span or ONLY_BYTES
        return FileSource(self.entries, names, image_size, channels, max_unreadable=0, span=span)

    def _inspect(self, name: str) -> None:
        try:
            size, mode = upright_header(self.entries.open(name))
        except Exception as error:  # decoders raise exceptions of any type on damaged data
            raise DataError(
                f"{self.path}: {one_line(name)} is unreadable ({reason_of(error)})"
            ) from error
        self.sizes.add(size)
        self.grey &= mode in GREY
        if is_deep(mode):
            self.deep.append(name)


class ExternalArray(ExternalImages):
    """An array in an NPZ or NPY file: uint8 [N, H, W, C] with 1 to 4 channels, or [N, H, W].

    The whole array is held in memory.

    Args:
        path: the file.

    Raises:
        DataError: the file contains no such array.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images = _read(path)
        count, height, width, channels = self.images.shape
        self.sizes = {(width, height)} if count else set()
        self.grey = channels in (1, 2)

    def __len__(self) -> int:
        return len(self.images)

    def source(self, image_size: int, channels: int) -> ImageSource:
        """Returns the images, converted on read."""
        return ArraySource(self.images, image_size, channels)


class ArraySource(ImageSource):
    """Images in an array, cropped and resized like image files.

    Args:
        images: uint8 [N, H, W, C] with C from 1 to 4.
        image_size: side of the square images.
        channels: 1 gray or 3 RGB.
    """

    labels = None

    def __init__(self, images: NDArray[np.uint8], image_size: int, channels: int) -> None:
        self.images = images
        self.shape = (channels, image_size, image_size)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Tensor) -> Tensor:
        """Returns uint8 [B, C, H, W]."""
        channels, image_size, _ = self.shape
        arrays = self.images[indices.numpy()]
        arrays = arrays[..., 0] if arrays.shape[-1] == 1 else arrays
        return torch.stack([squared(Image.fromarray(a), image_size, channels) for a in arrays])

    def subset(self, indices: Tensor) -> ArraySource:
        """Returns a copy of the images at ``indices``."""
        channels, image_size, _ = self.shape
        return ArraySource(self.images[indices.numpy()], image_size, channels)

    def contents(self) -> str:
        """Returns a hash of all bytes and of the output shape."""
        return hash_of(str(self.shape), torch.from_numpy(self.images))


def open_images(path: str, key: str) -> ExternalImages:
    """Returns the images at a path.

    Args:
        path: a folder, zip, tar, NPZ or NPY file.
        key: the option that the path was given with, for messages.

    Raises:
        DataError: the path contains fewer than two images or cannot be read.
    """
    location = typed_path(path)
    try:
        is_array = location.suffix in (".npz", ".npy")
        images = ExternalArray(location) if is_array else ExternalFiles(location)
    except DataError as error:
        raise DataError(f"{key}={path}: {error}") from error
    if len(images) < 2:
        raise DataError(f"{key}={path}: scores need at least 2 images, got {len(images)}")
    return images


def share_span(sets: dict[str, ExternalImages], span: Span | None = None) -> Span | None:
    """Sets a common value range for images that are not 8-bit, so that the sets are comparable.

    Args:
        sets: the sets, by the option that each was given with.
        span: the range; None to detect it from all sets together.

    Returns:
        The range; None if all images are 8-bit.
    """
    files = {key: images for key, images in sets.items() if isinstance(images, ExternalFiles)}
    deep = {key: images for key, images in files.items() if images.deep}
    if not deep:
        return None
    if span is None or span is ONLY_BYTES:
        span = joined([(images.entries, spread(images.deep, SCANNED)) for images in deep.values()])
    for images in deep.values():
        images.span = span
    _log.info("%s: images with more than 8 bits, scaled from the range %s", ", ".join(deep), span)
    return span


def common_size(sets: dict[str, ExternalImages], requested: int | None) -> int:
    """Returns the side that all images are resized to: ``requested``, or else their own.

    Args:
        sets: the sets, by the option that each was given with.
        requested: side to resize to; None requires that all images are squares of one size.

    Raises:
        ConfigError: ``requested`` is below 1, or is None and the sizes differ.
    """
    if requested is not None:
        if requested < 1:
            raise ConfigError(f"image_size must be at least 1, got {requested}")
        return requested
    sizes = set().union(*(images.sizes for images in sets.values()))
    width, height = next(iter(sizes))
    if len(sizes) > 1 or width != height:
        sizes_of = "; ".join(f"{key}: {_listed(images.sizes)}" for key, images in sets.items())
        raise ConfigError(
            f"only squares of one size can be compared ({sizes_of}). Set image_size=N to crop each "
            "image to its central square and resize it to N x N"
        )
    return width


def _listed(sizes: set[tuple[int, int]]) -> str:
    return first_of([f"{width}x{height}" for width, height in sorted(sizes)], 4)


def _read(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise DataError("file does not exist")
    try:
        if path.suffix == ".npy":
            return _checked(np.load(path, allow_pickle=False), path.name)
        with np.load(path, allow_pickle=False) as arrays:
            name = next((name for name in ARRAYS if name in arrays.files), None)
            present = ", ".join(arrays.files) or "nothing"
            images = None if name is None else arrays[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot be read ({error})") from error
    if images is None:
        points = "; 2D points are not images" if "points" in present else ""
        raise DataError(f"contains {present}, but no array {' or '.join(ARRAYS)}{points}")
    return _checked(images, str(name))


def _checked(images: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Returns the images of an array as [N, H, W, C].

    Raises:
        DataError: the array has another dtype or shape.
    """
    images = images[..., None] if images.ndim == 3 else images
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 2, 3, 4):
        raise DataError(
            f"{name} must be uint8 [N, H, W, C] in 0 ... 255 with C of 1, 2, 3 or 4, got "
            f"{images.dtype} {[*images.shape]}"
        )
    return np.ascontiguousarray(images)
