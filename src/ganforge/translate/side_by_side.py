"""Detection of side-by-side pairs, as used to train pix2pix, in the input of a translation."""

from __future__ import annotations

import logging

from ganforge.data.files.decoding import upright_size
from ganforge.data.files.entries import Entries

log = logging.getLogger("ganforge")

_LOOKED_AT = 16


def warn_of_pairs(entries: Entries, learns_from_pairs: bool) -> None:
    """Logs a warning if images look like side-by-side pairs, which would be translated as a whole.

    Only the headers of the first images are read.

    Args:
        entries: the images to translate.
        learns_from_pairs: whether the run's model was trained on pairs.
    """
    if not learns_from_pairs:
        return
    sizes = [size for name in entries.names[:_LOOKED_AT] if (size := _size(entries, name))]
    if sizes and all(width == 2 * height for width, height in sizes):
        log.warning(
            "the images are twice as wide as high, like pairs side by side (%s: %d x %d): each is "
            "translated whole. To translate one side, give images of that side alone",
            entries.names[0],
            *sizes[0],
        )


def _size(entries: Entries, name: str) -> tuple[int, int] | None:
    try:
        with entries.open(name) as file:
            return upright_size(file)
    except Exception:  # decoders raise many types; unreadable images are reported later
        return None
