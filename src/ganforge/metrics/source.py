from __future__ import annotations

from typing import Protocol

from torch import Tensor


class ImageSource(Protocol):
    """The part of a data set's interface that scores need: real images in a fixed order.

    Attributes:
        name: the data set's name.
        channels: C of its images.
        image_size: H = W of its images.
        num_classes: number of classes, 0 for unlabelled data.
    """

    name: str
    channels: int
    image_size: int
    num_classes: int

    def size(self, split: str) -> int:
        """Returns the number of images of ``split``, 0 if there is no such split."""
        ...

    def reals(self, n: int, split: str = "train", start: int = 0) -> tuple[Tensor, Tensor | None]:
        """Returns images start ... start + n - 1 of a fixed order: uint8 [n, C, H, W], labels."""
        ...

    def real_labels(self, split: str = "train") -> Tensor | None:
        """Returns all labels in the order of :meth:`reals`, int64 [N]; reads no images."""
        ...

    def fingerprint(self, split: str) -> str:
        """Returns a hash of the images and labels of ``split``."""
        ...
