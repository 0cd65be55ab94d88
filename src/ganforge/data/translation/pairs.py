from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ganforge.cores import thread_per_core
from ganforge.data.files.decoding import stretched, upright, upright_size
from ganforge.data.files.encoded import Entries
from ganforge.data.files.entries import open_entries
from ganforge.data.files.source import FileSource
from ganforge.data.files.split_folders import unused_images
from ganforge.data.files.value_range import Span
from ganforge.data.source import ImageSource
from ganforge.data.translation.layout import are_sides, by_split, listed, locate, matched, of_domain
from ganforge.data.translation.module import TranslationFiles
from ganforge.errors import DataError


class PairSource(FileSource):
    """Pairs in files, as single images: the channels of the input before those of the target.

    Both halves are resized to squares, ignoring their aspect ratio. A pair with an unreadable half
    counts as unreadable.

    Args:
        entries: reads encoded images.
        names: names of the images in A; or of files with both images side by side, A on the left.
        partners: the image in B of each name; empty if pairs are side by side in one file.
        image_size: side of the squares.
        channels: numbers of channels of A and of B.
        swapped: whether B is the input.
        max_unreadable: number of unreadable pairs that are skipped; more raise DataError.
        spans: value ranges of A and of B for images that are not 8-bit.
    """

    def __init__(
        self,
        entries: Entries,
        names: list[str],
        partners: Mapping[str, str],
        image_size: int,
        channels: tuple[int, int],
        swapped: bool,
        max_unreadable: int,
        spans: tuple[Span, Span],
    ) -> None:
        super().__init__(entries, names, image_size, sum(channels), max_unreadable=max_unreadable)
        self.partners = partners
        self.each = channels
        self.swapped = swapped
        self.spans = spans

    def files(self) -> list[str]:
        """Returns the names of all files that the source reads, including partners."""
        return [*self.names, *(self.partners[name] for name in self.names if self.partners)]

    def decoding(self) -> dict[str, Any]:
        """Returns all settings that change pixels, as values of JSON."""
        sides = {"each": self.each, "swapped": self.swapped, "spans": [*map(repr, self.spans)]}
        return super().decoding() | sides

    def decode(self, name: str) -> Tensor:
        """Returns uint8 [input + target channels, image_size, image_size] of one pair."""
        sides = [
            stretched(image, self.image_size, channels, span)
            for image, channels, span in zip(self._halves(name), self.each, self.spans, strict=True)
        ]
        return torch.cat(sides[::-1] if self.swapped else sides)

    def fault(self, name: str) -> str | None:
        """Returns why the sizes of a pair are invalid; None if they are valid or unreadable."""
        try:
            width, height = upright_size(self.entries.open(name))
            other = upright_size(self.entries.open(self.partners[name])) if self.partners else None
        except Exception:  # unreadable files are reported when they are decoded
            return None
        if not other and width % 2:
            return f"{name}: {width}x{height}, an odd width cannot be halved"
        if other and other != (width, height):
            return f"{name}: {width}x{height}, but {self.partners[name]}: {other[0]}x{other[1]}"
        return None

    def _halves(self, name: str) -> tuple[Image.Image, Image.Image]:
        image = upright(self.entries.read(name))
        if self.partners:
            return image, self._partner(self.partners[name])
        middle = image.width // 2
        left, right = (0, 0, middle, image.height), (middle, 0, 2 * middle, image.height)
        return image.crop(left), image.crop(right)

    def _partner(self, name: str) -> Image.Image:
        try:
            return upright(self.entries.read(name))
        except Exception as error:
            raise DataError(f"its partner {name}: {error}") from error


def load_pairs(data: TranslationFiles, path: Path) -> dict[str, ImageSource]:
    """Returns the splits of pairs, side by side in a file or with equal names in folders A and B.

    Args:
        data: data module that defines sizes, channels, direction and the held-out share.
        path: folder or archive of the images.

    Raises:
        DataError: partners are missing, or the halves of a pair differ in size.
    """
    entries = open_entries(path)
    images = locate(entries.names, data.layout)
    partners: dict[str, str] = {}
    try:
        if not are_sides(images):
            partners = matched(images)
            images = [image for image in images if image.name in partners]
        chosen = by_split(images, data.holdout, data.layout)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    splits = {split: [image.name for image in part] for split, part in chosen.items()}
    used = {name for names in splits.values() for name in names}
    used |= {partners[name] for name in used & partners.keys()}
    data.skipped = [] if data.layout == 1 else unused_images(entries.names, used)
    return pair_sources(data, path, entries, splits, partners)


def pair_sources(
    data: TranslationFiles,
    path: Path,
    entries: Entries,
    splits: dict[str, list[str]],
    partners: Mapping[str, str],
) -> dict[str, ImageSource]:
    """Returns the sources of the given pairs; raises DataError if halves differ in size."""
    first = [name for names in splits.values() for name in names]
    second = [partners[name] for name in first] if partners else first
    spans = data.span(entries, first, "A"), data.span(entries, second, "B")
    sources = {
        split: PairSource(
            entries,
            names,
            partners,
            data.load_size if split == "train" else data.image_size,
            channels=(data.channels_of("A"), data.channels_of("B")),
            swapped=data.direction == "BtoA",
            max_unreadable=data.max_unreadable,
            spans=spans,
        )
        for split, names in splits.items()
    }
    _check_halves(path, list(sources.values()))
    return dict(sources)


def _check_halves(path: Path, sources: list[PairSource]) -> None:
    """Checks the sizes of all pairs at the start, so that a run does not fail later.

    Raises:
        DataError: the halves of some pairs differ in size.
    """
    faults: list[str] = []
    with thread_per_core() as threads:
        for source in sources:
            faults += [fault for fault in threads.map(source.fault, source.names) if fault]
    if faults:
        count = sum(map(len, sources))
        fault = f"{len(faults)} of {count} pairs do not have two halves of the same size"
        raise DataError(f"{path}: {fault}:\n{listed(faults)}")


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
