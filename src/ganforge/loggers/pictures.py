from __future__ import annotations

from typing import Protocol, runtime_checkable

from PIL import Image


@runtime_checkable
class PictureLogger(Protocol):
    """A logger that takes pictures too."""

    def log_picture(
        self,
        name: str,
        picture: Image.Image,
        step: int,
        caption: str = "",
        images_seen: int | None = None,
    ) -> None:
        """Logs ``picture`` so that it decodes to the same pixels.

        Args:
            name: the panel it belongs to.
            picture: of mode L, LA, RGB or RGBA.
            step: finished generator updates.
            caption: text below it.
            images_seen: images that the discriminator has seen; None for those of the last point.
        """
        ...
