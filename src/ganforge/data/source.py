from __future__ import annotations

import torch
from torch import Tensor

from ganforge.data.fingerprint import hash_of


class ImageSource:
    """Images of one split, read by index.

    Attributes:
        labels: int64 [N], or None.
        shape: (channels, height, width) of each image.
    """

    labels: Tensor | None
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        raise NotImplementedError

    def read(self, indices: Tensor) -> Tensor:
        """Returns the images at int64 ``indices`` [B]: uint8 [B, C, H, W] in 0..255.

        Points of the plane, which bytes are too coarse for, are float32 [B, 2, 1, 1] in [-1, 1].
        """
        raise NotImplementedError

    def read_labelled(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns the images at ``indices`` as :meth:`read` does, and their labels [B] or None.

        A source that replaces an image returns the label of the replacement.
        """
        labels = self.labels
        if labels is None:
            return self.read(indices), None
        return self.read(indices), labels[indices.to(labels.device, non_blocking=True)]

    def subset(self, indices: Tensor) -> ImageSource:
        """Returns the images at int64 ``indices``, in that order, as a source of their own."""
        raise NotImplementedError

    def contents(self) -> str:
        """Returns a hash of all that images and labels are made from; no image is decoded."""
        raise NotImplementedError


class MemorySource(ImageSource):
    """A data set that lies in memory as one tensor; a batch is one indexing operation.

    Args:
        images: uint8 [N, C, H, W] in 0..255, or float32 in [-1, 1].
        labels: int64 [N], or None.
    """

    def __init__(self, images: Tensor, labels: Tensor | None = None) -> None:
        self.images = images.contiguous()
        self.labels = labels
        self.shape = (images.shape[1], images.shape[2], images.shape[3])

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Tensor) -> Tensor:
        """Returns [B, C, H, W] on the device where the tensor lies."""
        if self.images.is_cpu:
            # NumPy copies in one thread; waking torch's pool costs more than so small a copy.
            return torch.from_numpy(self.images.numpy()[indices.numpy()])
        return self.images.index_select(0, indices.to(self.images.device, non_blocking=True))

    def subset(self, indices: Tensor) -> MemorySource:
        """Returns a copy of the images at ``indices``."""
        labels = None if self.labels is None else self.labels[indices]
        return MemorySource(self.read(indices), labels)

    def contents(self) -> str:
        """Returns a hash of every byte."""
        return hash_of(self.images, self.labels)

    def on(self, device: torch.device) -> MemorySource:
        """Returns the images on ``device`` where they take at most a quarter of its free memory.

        Only CUDA is considered: elsewhere a copy on the device shares the memory of the host.
        """
        if device.type != "cuda" or self.images.device == device:
            return self
        free, _ = torch.cuda.mem_get_info(device)
        if self.images.nbytes > free // 4:
            return self
        labels = None if self.labels is None else self.labels.to(device)
        return MemorySource(self.images.to(device), labels)


def holdout(labels: Tensor, count: int, spare: bool = False) -> tuple[Tensor, Tensor]:
    """Splits a data set into (train, test) indices, int64 and increasing, test of ``count``.

    Test images are taken at even distances from the list sorted by label (systematic sampling),
    so that each class gives its share, and always the same images.

    Args:
        labels: int64 [N].
        count: size of the test split.
        spare: whether a class keeps its last training image; the test split is then smaller.
    """
    by_label = torch.argsort(labels, stable=True)
    taken = torch.arange(count) * len(labels) // max(count, 1)
    test = by_label[taken].sort().values
    if spare:
        test = test[~_last_ones(labels, test)]
    kept = torch.ones(len(labels), dtype=torch.bool)
    kept[test] = False
    return kept.nonzero().flatten(), test


def _last_ones(labels: Tensor, taken: Tensor) -> Tensor:
    """Returns which of ``taken`` to give back, bool, so that each class keeps one image."""
    back = torch.zeros(len(taken), dtype=torch.bool)
    chosen = labels[taken]
    left = labels.bincount() - chosen.bincount(minlength=int(labels.max()) + 1)
    for label in torch.unique(chosen[left[chosen] == 0]).tolist():
        back[(chosen == label).nonzero()[0]] = True
    return back
