from __future__ import annotations

from typing import Protocol

from torch import Tensor


class ImageSource(Protocol):
    """What a score asks of a data set: a fixed order of real images, and what they are.

    Attributes:
        name: the data set's name.
        channels: C of its images.
        image_size: H = W of its images.
        num_classes: number of labels, 0 where there are none.
    """

    name: str
    channels: int
    image_size: int
    num_classes: int

    def size(self, split: str) -> int:
        """Returns the number of images of ``split``, 0 where there is no such split."""
        ...

    def reals(self, n: int, split: str = "train", start: int = 0) -> tuple[Tensor, Tensor | None]:
        """Returns images start ... start + n - 1 of a fixed order: uint8 [n, C, H, W], labels."""
        ...

    def real_labels(self, split: str = "train") -> Tensor | None:
        """Returns the labels of all images in that order, int64 [N], without reading an image."""
        ...

    def fingerprint(self, split: str) -> str:
        """Returns a hash of the images and labels of ``split``."""
        ...
