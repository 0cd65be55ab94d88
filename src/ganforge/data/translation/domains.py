"""The images of one domain of unpaired data, in files."""

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
    """Images in files, resized to squares whatever their proportions."""

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
    """Returns the splits of domain A or B, of images whose folders say to which they belong.

    Args:
        data: says sizes and channels.
        path: where the images are, for messages.
        entries: reads them.
        letter: "A" or "B".
        share: of a domain without test folder, what is held out.
        max_unreadable: unreadable images that are skipped.

    Raises:
        DataError: if the domain is empty.
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
    """Returns the splits of domain A or B, whose images lie in a place of their own."""
    found = places(entries.names, data.layout)
    sources = _sources(data, path, entries, found, letter, share, max_unreadable)
    _note_passed_over(data, entries, sources, [])
    return dict(sources)


def _note_passed_over(
    data: TranslationData, entries: Entries, sources: dict[str, StretchedSource], other: list[str]
) -> None:
    """Notes the images of neither split of this domain, nor of the ``other`` one."""
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
