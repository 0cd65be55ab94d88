"""Loads the images of one domain of unpaired data from files."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ganforge.data.files.decoding import stretched, upright
from ganforge.data.files.entries import open_entries
from ganforge.data.files.source import FileSource
from ganforge.data.files.split_folders import unused_images
from ganforge.data.source import ImageSource
from ganforge.data.translation.layout import by_split, locate, of_domain
from ganforge.data.translation.module import TranslationFiles
from ganforge.errors import DataError


class StretchedSource(FileSource):
    """Images in files, resized to squares, ignoring their aspect ratio."""

    def decode(self, name: str) -> Tensor:
        """Returns uint8 [C, H, W] of one file."""
        image = upright(self.entries.read(name))
        return stretched(image, self.image_size, self.channels, self.span)


def load_domain(
    data: TranslationFiles, path: Path, letter: str, shared: bool = True
) -> dict[str, ImageSource]:
    """Returns the splits of domain A or B of unpaired data.

    Args:
        data: data module that defines sizes, channels and the held-out share.
        path: folder or archive of the images.
        letter: "A" or "B".
        shared: whether the path contains both domains, which are then distinguished by folders.

    Raises:
        DataError: the domain is empty.
    """
    entries = open_entries(path)
    images = locate(entries.names, data.layout)
    try:
        chosen = of_domain(images, letter) if shared else images
        splits = by_split(chosen, data.holdout, data.layout)
    except DataError as error:
        raise DataError(f"{path}: domain {letter}: {error}") from error
    names = {split: [image.name for image in part] for split, part in splits.items()}
    if data.layout != 1:
        other = {image.name for image in images if shared and image.domain not in (None, letter)}
        lines = unused_images(entries.names, other.union(*names.values()))
        data.skipped += [line for line in lines if line not in data.skipped]
    span = data.span(entries, [image.name for image in chosen], letter)
    return {
        split: StretchedSource(
            entries,
            part,
            data.load_size if split == "train" else data.image_size,
            data.channels_of(letter),
            max_unreadable=data.max_unreadable,
            span=span,
        )
        for split, part in names.items()
    }
