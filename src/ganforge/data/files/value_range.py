"""Images that are not 8 bits: which of their values become black and white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganforge.errors import ConfigError, DataError

FULL = 65535  # white of an image that uses its 16 bits
# Whites of what cameras and scanners make, and of floats: taken where a set comes close to them.
_WHITES = (1, 255, 1023, 4095, 16383, FULL, 2**24 - 1, 2**31 - 1, 2**32 - 1)
_ROWS = 2**20  # values that are scaled at once


@dataclass(frozen=True)
class Span:
    """The values that become black and white.

    Attributes:
        low: becomes black.
        high: becomes white.
        clamps: values outside become black or white, since the user said so; otherwise they are an
            error, and nothing is cut.
    """

    low: float
    high: float
    clamps: bool = False

    def grey(self, image: Image.Image) -> Image.Image:
        """Returns a 16-bit, 32-bit or float image as 8 bits, "L".

        Raises:
            DataError: values are not finite, or outside of the range.
        """
        found = values(image)
        least, most = extremes(found)
        if not self.clamps and not self.low <= least <= most <= self.high:
            raise DataError(
                f"has values from {least:g} to {most:g}, outside of the range {self} of the set: "
                "state data.range=[lo,hi]"
            )
        if (self.low, self.high) == (0, FULL) and least >= 0 and most <= FULL and is_whole(found):
            return Image.fromarray((found >> 8).astype(np.uint8))
        rows = max(_ROWS // max(found.shape[-1], 1), 1)
        parts = [self._scaled(found[at : at + rows]) for at in range(0, len(found), rows)]
        return Image.fromarray(np.concatenate(parts))

    def _scaled(self, found: NDArray[Any]) -> NDArray[np.uint8]:
        share = (found.astype(np.float64) - self.low) / (self.high - self.low)
        grey: NDArray[np.uint8] = np.rint(share.clip(0, 1) * 255).astype(np.uint8)
        return grey

    def clamped(self) -> Span:
        """Returns a range that takes values outside of it for black and white."""
        return replace(self, clamps=True)

    def __str__(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"


class _OnlyBytes(Span):
    """The range of a set of 8-bit images, in which others are faults."""

    def grey(self, image: Image.Image) -> Image.Image:
        """Raises DataError."""
        raise DataError(
            f"is a {kind_of(image.mode)} image in a set of 8-bit ones: convert it, or state its "
            f"range, such as data.range=[0,{FULL}]"
        )


ONLY_BYTES: Span = _OnlyBytes(0, 255)


def is_deep(mode: str) -> bool:
    """Whether an image of a mode of Pillow has other than 8 bits in a channel."""
    return mode.startswith("I") or mode == "F"


def kind_of(mode: str) -> str:
    """Returns in words what values an image of a deep mode has."""
    return {"F": "float", "I": "32-bit"}.get(mode, "16-bit")


def values(image: Image.Image) -> NDArray[Any]:
    """Returns the values of a deep image, [H, W]."""
    found = np.asarray(image)
    return found.view(np.uint32) if image.info.get("unsigned") else found


def is_whole(found: NDArray[Any]) -> bool:
    """Whether values are of an integer type."""
    return np.issubdtype(found.dtype, np.integer)


def extremes(found: NDArray[Any]) -> tuple[float, float]:
    """Returns the least and the largest value.

    Raises:
        DataError: some are not finite.
    """
    least, most = float(found.min()), float(found.max())
    if not np.isfinite([least, most]).all():
        raise DataError("holds values that are not finite (NaN or infinity)")
    return least, most


def span_of(image: Image.Image) -> Span:
    """Returns the range of a deep image by itself."""
    found = values(image)
    return snapped(*extremes(found), whole=is_whole(found))


def snapped(least: float, most: float, whole: bool) -> Span:
    """Returns the range of values that were found.

    It is the one of their format, such as [0, 4095] of 12 bits, where they come close to its white
    and its black, so that a set's range does not depend on a few pixels. Otherwise it is their own.

    Args:
        least: of all values.
        most: of all values.
        whole: they are integers.
    """
    whites = _WHITES[1:] if whole else _WHITES[:2]
    white = next((white for white in whites if most <= white), None)
    if white is not None and least >= 0:
        close = least <= 0.25 * white and most >= 0.75 * white
        if close or least == most:
            return Span(0, white)
    if not whole and -1 <= least <= -0.5 and 0.5 <= most <= 1:
        return Span(-1, 1)
    return Span(least, most if most > least else least + 1)


def read_range(value: Any, letter: str | None = None) -> Span | None:
    """Returns the range that ``data.range`` holds, for one domain of a translation data set.

    Args:
        value: [lo, hi]; {A: [lo, hi], B: [lo, hi]}; {found: ...} of either, as runs note the range
            that was found in their data; or None.
        letter: "A" or "B", where the data have domains.

    Raises:
        ConfigError: it is none of these.
    """
    found = isinstance(value, Mapping) and "found" in value
    inner = value["found"] if found else value
    if isinstance(inner, Mapping):
        if letter is None or not {*inner} <= {"A", "B"}:
            raise _wrong(value)
        inner = inner.get(letter)
    if inner is None:
        return None
    numbers = [*inner] if isinstance(inner, Sequence) and not isinstance(inner, str) else []
    plain = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    if len(numbers) != 2 or not plain or not -np.inf < numbers[0] < numbers[1] < np.inf:
        raise _wrong(value)
    return Span(float(numbers[0]), float(numbers[1]), clamps=not found)


def _wrong(value: Any) -> ConfigError:
    return ConfigError(
        f"data.range must be [lo,hi] with lo below hi, or null for the set's own; got {value}"
    )


def noted(spans: Mapping[str, Span] | Span) -> dict[str, Any] | None:
    """Returns what a run notes as its ``data.range``; None for 8-bit images or a stated range."""
    if isinstance(spans, Span):
        return None if _is_plain(spans) else {"found": [spans.low, spans.high]}
    parts = {key: None if _is_plain(s) else [s.low, s.high] for key, s in spans.items()}
    return {"found": parts} if any(parts.values()) else None


def written(spans: Mapping[str, Span]) -> str:
    """Returns the same text for ranges of equal numbers, found (integers) or read from a run."""
    texts = (f"{key} [{float(span.low)}, {float(span.high)}]" for key, span in spans.items())
    return ", ".join(text.strip() for text in texts)


def _is_plain(span: Span) -> bool:
    return span is ONLY_BYTES or span.clamps
