from __future__ import annotations

from typing import Protocol, runtime_checkable

from PIL import Image


@runtime_checkable
class PictureLogger(Protocol):
    """A logger that accepts images."""

    def log_picture(
        self,
        name: str,
        picture: Image.Image,
        step: int,
        caption: str = "",
        images_seen: int | None = None,
    ) -> None:
        """Logs ``picture`` without loss, so that it decodes to the same pixels.

        Args:
            name: name of the panel.
            picture: an image of mode L, LA, RGB or RGBA.
            step: completed generator updates.
            caption: text below the image.
            images_seen: images seen by the discriminator; None uses the value logged last.
        """
        ...
