from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ganforge.data.order import fixed_order
from ganforge.data.source import ImageSource, hash_of
from ganforge.errors import DataError

SAMPLE = 64  # decoded images in a fingerprint: a few suffice to reveal different settings


class RealImages:
    """Fixed real images for scores, by split; never augmented.

    Attributes:
        name: name of the data set.
        num_classes: number of labels; 0 for unlabelled images.
    """

    name: str
    num_classes: int = 0

    def __init__(self) -> None:
        super().__init__()
        self._sources: dict[str, ImageSource] = {}
        self._orders: dict[str, Tensor] = {}
        self._fingerprints: dict[str, str] = {}

    def size(self, split: str = "train") -> int:
        """Returns the number of images in ``split``; 0 if the split does not exist."""
        return len(self._sources[split]) if split in self._sources else 0

    def reals(self, n: int, split: str = "train", start: int = 0) -> tuple[Tensor, Tensor | None]:
        """Returns n images in a fixed shuffled order, the same for every seed, never augmented.

        Args:
            n: number of images; fewer are returned at the end of the split.
            split: "train" or "test".
            start: position of the first image in that order.

        Returns:
            uint8 [n, C, H, W] in 0..255 (points: float32 in [-1, 1]), and int64 [n] labels or None.
        """
        indices = self._reals_order(split)[start : start + n]
        return self._sources[split].read_labelled(indices)

    def real_labels(self, split: str = "train") -> Tensor | None:
        """Returns the labels of all images in the order of :meth:`reals`, int64 [N], or None.

        Reads no images.
        """
        order = self._reals_order(split)
        labels = self._sources[split].labels
        return None if labels is None else labels[order]

    def fingerprint(self, split: str = "train") -> str:
        """Returns a fingerprint of the images and labels: 16 hex digits.

        It is the cache key of statistics and classifiers. For images in memory it covers every
        byte; for files it covers names, sizes, times or checksums, and a sample of decoded images.
        """
        if split not in self._fingerprints:
            sample = self.reals(SAMPLE, split)[0]
            contents = self._sources[split].contents()
            self._fingerprints[split] = hash_of(str(self.num_classes), contents, sample)
        return self._fingerprints[split]

    def _reals_order(self, split: str) -> Tensor:
        if self.size(split) == 0:
            raise DataError(f"data={self.name} has no {split} images")
        if split not in self._orders:
            self._orders[split] = fixed_order(len(self._sources[split]))
        return self._orders[split]


class Domain(RealImages):
    """One domain of a translation data set, as a separate data set without labels.

    Args:
        name: name of the data set.
        sources: square images of one shape, by split.

    Attributes:
        channels: number of channels, C.
        image_size: side of the images, H = W.
    """

    def __init__(self, name: str, sources: Mapping[str, ImageSource]) -> None:
        super().__init__()
        self.name = name
        self.channels, self.image_size, _ = sources["train"].shape
        self._sources = {**sources}
