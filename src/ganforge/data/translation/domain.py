from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ganforge.data.fingerprint import SAMPLE, hash_of
from ganforge.data.order import fixed_order
from ganforge.data.source import ImageSource
from ganforge.errors import DataError


class Domain:
    """One domain of a translation data set, as a separate data set without labels.

    Args:
        name: name of the data set.
        sources: square images of one shape, by split.

    Attributes:
        channels: number of channels, C.
        image_size: side of the images, H = W.
        num_classes: 0.
    """

    num_classes = 0

    def __init__(self, name: str, sources: Mapping[str, ImageSource]) -> None:
        self.name = name
        self.sources = sources
        self.channels, self.image_size, _ = sources["train"].shape
        self._orders: dict[str, Tensor] = {}
        self._fingerprints: dict[str, str] = {}

    def size(self, split: str = "train") -> int:
        """Returns the number of images in ``split``; 0 if the split does not exist."""
        return len(self.sources[split]) if split in self.sources else 0

    def reals(self, n: int, split: str = "train", start: int = 0) -> tuple[Tensor, None]:
        """Returns images start ... start + n - 1 in a fixed shuffled order: uint8 [n, C, H, W]."""
        if self.size(split) == 0:
            raise DataError(f"data={self.name} has no {split} images")
        if split not in self._orders:
            self._orders[split] = fixed_order(self.size(split))
        return self.sources[split].read(self._orders[split][start : start + n]), None

    def real_labels(self, split: str = "train") -> None:
        """Returns None: there are no labels."""

    def fingerprint(self, split: str = "train") -> str:
        """Returns a fingerprint of the images: 16 hex digits; see :class:`ImageDataModule`."""
        if split not in self._fingerprints:
            sample = self.reals(SAMPLE, split)[0]
            self._fingerprints[split] = hash_of("0", self.sources[split].contents(), sample)
        return self._fingerprints[split]
