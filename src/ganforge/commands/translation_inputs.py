"""Prepares input images for translation: limits their size and maps their value range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf
from PIL import Image

from ganforge.data.files.decoding import MAX_TRANSLATED_PIXELS, in_mode, upright
from ganforge.data.files.encoded import Entries
from ganforge.data.files.range_scan import find_span
from ganforge.data.files.value_range import ONLY_BYTES, Span, read_range
from ganforge.errors import ConfigError, RunError
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import read_config


def stated_range(folder: RunFolder, trust: Sequence[str] = ()) -> Any:
    """Returns the value range stored for a run's training images; None for 8-bit images."""
    try:
        data = read_config(folder, trust).get("data")
    except RunError:  # without a configuration
        return None
    plain = OmegaConf.to_container(data) if OmegaConf.is_config(data) else None
    return plain.get("range") if isinstance(plain, dict) else None


def input_span(entries: Entries, stated: Any, direction: str) -> Span | None:
    """Returns the value range of inputs that are not 8-bit: the training range, else their own.

    Args:
        entries: the input images.
        stated: the run's ``data.range``.
        direction: "AtoB" or "BtoA"; the first letter is the domain of the inputs.
    """
    try:
        span = read_range(stated, direction[0])
    except ConfigError:  # written by a version with another format
        span = None
    span = None if span is None else span.clamped()
    found = find_span("input", entries, entries.names, span, mixed=True)
    return None if found is ONLY_BYTES else found


def translatable(entries: Entries, name: str, channels: int) -> Image.Image:
    """Returns an image converted to the network's number of channels.

    Raises:
        DataError: if it has more than ``MAX_TRANSLATED_PIXELS`` pixels.
        Exception: of any type, from the decoders, if the data is damaged.
    """
    image = upright(entries.read(name), MAX_TRANSLATED_PIXELS)
    return in_mode(image, channels, entries.span)
