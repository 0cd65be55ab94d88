"""The images of one domain of unpaired data, in files."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ganforge.data.decoding import stretched, upright
from ganforge.data.entries import Entries
from ganforge.data.files import FileSource
from ganforge.data.source import ImageSource
from ganforge.data.translation_data import TranslationData
from ganforge.data.translation_layout import Place, by_split, of_domain, places


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
    chosen = of_domain(path, places(entries.names), letter)
    return _sources(data, entries, chosen, letter, share, max_unreadable)


def load_one(
    data: TranslationData,
    path: Path,
    entries: Entries,
    letter: str,
    share: float,
    max_unreadable: int,
) -> dict[str, ImageSource]:
    """Returns the splits of domain A or B, whose images lie in a place of their own."""
    return _sources(data, entries, places(entries.names), letter, share, max_unreadable)


def _sources(
    data: TranslationData,
    entries: Entries,
    chosen: list[Place],
    letter: str,
    share: float,
    max_unreadable: int,
) -> dict[str, ImageSource]:
    sizes = {"train": data.load_size, "test": data.image_size}
    channels = data.channels_of(letter)
    span = data.span(entries, [place.name for place in chosen], letter)
    return {
        split: StretchedSource(
            entries,
            [place.name for place in found],
            sizes[split],
            channels,
            max_unreadable=max_unreadable,
            span=span,
        )
        for split, found in by_split(chosen, share).items()
    }
