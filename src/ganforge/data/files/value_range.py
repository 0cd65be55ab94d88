"""Value ranges of images that are not 8-bit: the values that map to black and white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganforge.errors import ConfigError, DataError

FULL = 65535  # white of an image that uses all 16 bits
# White levels of common formats (floats, 8 to 32 bits), used if the values come close to them.
_WHITES = (1, 255, 1023, 4095, 16383, FULL, 2**24 - 1, 2**31 - 1, 2**32 - 1)
_ROWS = 2**20  # values that are scaled at a time


@dataclass(frozen=True)
class Span:
    """The values that map to black and white.

    Attributes:
        low: value that maps to black.
        high: value that maps to white.
        clamps: clamp values outside of the range, as for a range that the user configured;
            otherwise they raise DataError.
    """

    low: float
    high: float
    clamps: bool = False

    def grey(self, image: Image.Image) -> Image.Image:
        """Returns a 16-bit, 32-bit or float image as an 8-bit image, mode "L".

        Raises:
            DataError: values are not finite, or are outside of a range that does not clamp.
        """
        pixels = values(image)
        least, most = extremes(pixels)
        if not self.clamps and not self.low <= least <= most <= self.high:
            raise DataError(
                f"has values from {least:g} to {most:g}, outside of the range {self} of the set: "
                "set data.range=[lo,hi]"
            )
        if (self.low, self.high) == (0, FULL) and least >= 0 and most <= FULL and is_whole(pixels):
            return Image.fromarray((pixels >> 8).astype(np.uint8))
        rows = max(_ROWS // max(pixels.shape[-1], 1), 1)
        parts = [self._scaled(pixels[at : at + rows]) for at in range(0, len(pixels), rows)]
        return Image.fromarray(np.concatenate(parts))

    def _scaled(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        share = (pixels.astype(np.float64) - self.low) / (self.high - self.low)
        grey: NDArray[np.uint8] = np.rint(share.clip(0, 1) * 255).astype(np.uint8)
        return grey

    def clamped(self) -> Span:
        """Returns the same range, with values outside of it clamped."""
        return replace(self, clamps=True)

    def __str__(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"


class _OnlyBytes(Span):
    """The range of a set of 8-bit images; any other image is an error."""

    def grey(self, image: Image.Image) -> Image.Image:
        """Raises DataError, since the image is not 8-bit."""
        raise DataError(
            f"is a {kind_of(image.mode)} image in a set of 8-bit images: convert it, or set its "
            f"range, such as data.range=[0,{FULL}]"
        )


ONLY_BYTES: Span = _OnlyBytes(0, 255)


def is_deep(mode: str) -> bool:
    """Whether a Pillow mode has more than 8 bits per channel."""
    return mode.startswith("I") or mode == "F"


def kind_of(mode: str) -> str:
    """Returns the value type of a deep mode: "float", "32-bit" or "16-bit"."""
    return {"F": "float", "I": "32-bit"}.get(mode, "16-bit")


def values(image: Image.Image) -> NDArray[Any]:
    """Returns the values of a deep image, [H, W]; unsigned 32-bit ones as uint32."""
    pixels = np.asarray(image)
    return pixels.view(np.uint32) if image.info.get("unsigned") else pixels


def is_whole(pixels: NDArray[Any]) -> bool:
    """Whether the values have an integer dtype."""
    return np.issubdtype(pixels.dtype, np.integer)


def extremes(pixels: NDArray[Any]) -> tuple[float, float]:
    """Returns the smallest and the largest value.

    Raises:
        DataError: some values are not finite.
    """
    least, most = float(pixels.min()), float(pixels.max())
    if not np.isfinite([least, most]).all():
        raise DataError("contains NaN or infinity")
    return least, most


def span_of(image: Image.Image) -> Span:
    """Returns the value range of a single deep image."""
    pixels = values(image)
    return snapped(*extremes(pixels), whole=is_whole(pixels))


def snapped(least: float, most: float, whole: bool) -> Span:
    """Returns the value range for given extremes.

    If the extremes are close to black and white of a common format, such as [0, 4095] for 12 bits,
    the range is that of the format, so that it does not depend on a few pixels. Otherwise it is
    [least, most].

    Args:
        least: smallest value.
        most: largest value.
        whole: whether the values are integers.
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
    """Returns the range given by ``data.range``; for translation data, that of one domain.

    Args:
        value: [lo, hi]; {A: [lo, hi], B: [lo, hi]}; {found: ...} with either of them, as runs
            record a detected range; or None.
        letter: "A" or "B" for data with domains.

    Raises:
        ConfigError: the value has none of these forms.
    """
    detected = isinstance(value, Mapping) and "found" in value
    inner = value["found"] if detected else value
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
    return Span(float(numbers[0]), float(numbers[1]), clamps=not detected)


def _wrong(value: Any) -> ConfigError:
    return ConfigError(
        f"data.range must be [lo,hi] with lo below hi, or null to detect it; got {value}"
    )


def noted(spans: Mapping[str, Span] | Span) -> dict[str, Any] | None:
    """Returns the ``data.range`` to record; None for 8-bit images or a configured range."""
    if isinstance(spans, Span):
        return None if _is_plain(spans) else {"found": [spans.low, spans.high]}
    parts = {key: None if _is_plain(s) else [s.low, s.high] for key, s in spans.items()}
    return {"found": parts} if any(parts.values()) else None


def written(spans: Mapping[str, Span]) -> str:
    """Returns ranges as text, equal for equal values: detected (int) or read from a run (float)."""
    texts = (f"{key} [{float(span.low)}, {float(span.high)}]" for key, span in spans.items())
    return ", ".join(text.strip() for text in texts)


def _is_plain(span: Span) -> bool:
    return span is ONLY_BYTES or span.clamps
