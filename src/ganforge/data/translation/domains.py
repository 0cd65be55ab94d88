"""Loads the images of one domain of unpaired data from files."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ganforge.data.files.decoding import stretched, upright
from ganforge.data.files.entries import Entries
from ganforge.data.files.source import FileSource
from ganforge.data.files.split_folders import passed_over
from ganforge.data.source import ImageSource
from ganforge.data.translation.layout import Place, by_split, of_domain, places
from ganforge.data.translation.module import TranslationData
from ganforge.errors import DataError


class StretchedSource(FileSource):
    """Images in files, resized to squares, ignoring their aspect ratio."""

    def decode(self, name: str) -> Tensor:
        """Returns uint8 [C, H, W] of one file."""
        image = upright(self.entries.read(name))
        return stretched(image, self.image_size, self.channels, self.span)


def load_both(
    data: TranslationData,
    path: Path,
    entries: Entries,
    letter: str,
    share: float,
    max_unreadable: int,
) -> dict[str, ImageSource]:
    """Returns the splits of domain A or B from images of both, told apart by their folders.

    Args:
        data: data module that defines sizes and channels.
        path: path of the images, for messages.
        entries: reads the images.
        letter: "A" or "B".
        share: share to hold out if the domain has no test folder.
        max_unreadable: number of unreadable images that are skipped.

    Raises:
        DataError: the domain is empty.
    """
    found = places(entries.names, data.layout)
    chosen = of_domain(path, found, letter)
    sources = _sources(data, path, entries, chosen, letter, share, max_unreadable)
    other = [place.name for place in found if place.domain not in (None, letter)]
    _note_passed_over(data, entries, sources, other)
    return dict(sources)


def load_one(
    data: TranslationData,
    path: Path,
    entries: Entries,
    letter: str,
    share: float,
    max_unreadable: int,
) -> dict[str, ImageSource]:
    """Returns the splits of domain A or B from images of that domain only; see `load_both`."""
    found = places(entries.names, data.layout)
    sources = _sources(data, path, entries, found, letter, share, max_unreadable)
    _note_passed_over(data, entries, sources, [])
    return dict(sources)


def _note_passed_over(
    data: TranslationData, entries: Entries, sources: dict[str, StretchedSource], other: list[str]
) -> None:
    """Records images that are neither in a split of this domain nor in the ``other`` domain."""
    if data.layout == 1:
        return
    used = {name for source in sources.values() for name in source.names}
    noted = passed_over(entries.names, used | {*other})
    data.passed_over += [line for line in noted if line not in data.passed_over]


def _sources(
    data: TranslationData,
    path: Path,
    entries: Entries,
    chosen: list[Place],
    letter: str,
    share: float,
    max_unreadable: int,
) -> dict[str, StretchedSource]:
    sizes = {"train": data.load_size, "test": data.image_size}
    channels = data.channels_of(letter)
    span = data.span(entries, [place.name for place in chosen], letter)
    try:
        splits = by_split(chosen, share, data.layout)
    except DataError as error:
        raise DataError(f"{path}: domain {letter}: {error}") from error
    return {
        split: StretchedSource(
            entries,
            [place.name for place in found],
            sizes[split],
            channels,
            max_unreadable=max_unreadable,
            span=span,
        )
        for split, found in splits.items()
    }
