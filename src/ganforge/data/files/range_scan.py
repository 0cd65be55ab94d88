"""Detects the value range of a set of images from a limited sample."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from ganforge.cores import thread_per_core
from ganforge.data.files.decoding import mode_of, upright
from ganforge.data.files.encoded import Entries, one_at_a_time
from ganforge.data.files.value_range import (
    FULL,
    ONLY_BYTES,
    Span,
    extremes,
    is_deep,
    is_whole,
    kind_of,
    snapped,
    values,
)
from ganforge.errors import DataError
from ganforge.plain_text import one_line

_log = logging.getLogger(__name__)

HEADERS = 128  # images whose mode is read
SCANNED = 1000  # images whose values are read, if the set is not 8-bit

T = TypeVar("T")


def find_span(
    label: str, entries: Entries, names: list[str], configured: Span | None, mixed: bool = False
) -> Span:
    """Returns the common value range of a set of images, and logs it unless they are 8-bit.

    Args:
        label: name of the set in messages, such as "data=folder".
        entries: reads the images.
        names: names of the images.
        configured: the range that the user configured or that the run detected before.
        mixed: allow sets with both 8-bit images and others.

    Raises:
        DataError: the set mixes 8-bit images with others, and no range is given.
    """
    modes = _modes(entries, names)
    deep = {name: mode for name, mode in modes.items() if is_deep(mode)}
    if configured is not None:
        if deep:
            origin = "configured" if configured.clamps else "detected before"
            _log_range(label, deep, f"{configured}, as {origin}")
        elif configured.clamps and modes and not mixed:
            _log.warning("%s: data.range does not apply to 8-bit images", label)
        return configured
    if not deep:
        return ONLY_BYTES
    scanned = spread(names, SCANNED)
    span = joined([(entries, scanned)])
    if not mixed and len(deep) < len(modes) and (span.low, span.high) != (0, FULL):
        plain = next(name for name in modes if name not in deep)
        raise DataError(
            f"{label} mixes 8-bit images, such as {one_line(plain)}, with {_kinds(deep)} ones, "
            f"such as {one_line(next(iter(deep)))}: convert them, or set the range of the latter "
            "with data.range=[lo,hi]"
        )
    count = len(scanned)
    _log_range(label, deep, f"{span}, detected in {count} images; data.range=[lo,hi] overrides it")
    return span


def joined(sets: list[tuple[Entries, list[str]]]) -> Span:
    """Returns the common range of all images that are not 8-bit; unreadable ones are skipped.

    Raises:
        DataError: no such image is readable.
    """
    ranges = []
    for entries, names in sets:
        read = partial(_extremes, entries)
        ranges += [part for part in _map(read, names) if part]
    if not ranges:
        raise DataError("no 16-bit, 32-bit or float image is readable")
    least, most = min(part[0] for part in ranges), max(part[1] for part in ranges)
    return snapped(least, most, whole=all(part[2] for part in ranges))


def spread(names: list[str], most: int) -> list[str]:
    """Returns at most ``most`` names, evenly spaced."""
    most = min(most, len(names))
    return [names[position * len(names) // most] for position in range(most)]


def _modes(entries: Entries, names: list[str]) -> dict[str, str]:
    sample = spread(names, HEADERS)
    modes = _map(lambda name: mode_of(entries.open(name)), sample)
    return {name: mode for name, mode in zip(sample, modes, strict=True) if mode}


def _extremes(entries: Entries, name: str) -> tuple[float, float, bool] | None:
    image = upright(entries.read(name))
    if not is_deep(image.mode):
        return None
    pixels = values(image)
    return *extremes(pixels), is_whole(pixels)


def _map(read: Callable[[str], T], names: Iterable[str]) -> list[T | None]:
    """Calls ``read`` for each name in threads; None for unreadable images, reported on decoding."""

    def attempt(name: str) -> T | None:
        try:
            with one_at_a_time():
                return read(name)
        except Exception:  # decoders raise exceptions of any type on damaged data
            return None

    with thread_per_core() as threads:
        return [*threads.map(attempt, names)]


def _kinds(deep: dict[str, str]) -> str:
    return " and ".join(sorted({kind_of(mode) for mode in deep.values()}))


def _log_range(label: str, deep: dict[str, str], text: str) -> None:
    _log.info("%s: %s images, scaled from the range %s", label, _kinds(deep), text)
