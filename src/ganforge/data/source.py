from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ganforge.data.order import Groups, Order, WindowOrder


class ImageSource:
    """Images of one split, read by index.

    Attributes:
        labels: int64 [N], or None.
        shape: (channels, height, width) of each image.
        groups: groups of images, of which few should be read at a time; None if any order is fine.
    """

    labels: Tensor | None
    shape: tuple[int, int, int]
    groups: Groups | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def read(self, indices: Tensor) -> Tensor:
        """Returns the images at int64 ``indices`` [B]: uint8 [B, C, H, W] in 0..255.

        2D points are float32 [B, 2, 1, 1] in [-1, 1], because uint8 is too coarse for them.
        """
        raise NotImplementedError

    def read_labelled(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns the images at ``indices`` as :meth:`read` does, and their labels [B] or None.

        If a source replaces an unreadable image, it returns the label of the replacement.
        """
        labels = self.labels
        if labels is None:
            return self.read(indices), None
        return self.read(indices), labels[indices.to(labels.device, non_blocking=True)]

    def order(self, seed: int) -> Order:
        """Returns the order in which a run of this seed reads the images."""
        return Order(len(self), seed) if self.groups is None else WindowOrder(self.groups, seed)

    def subset(self, indices: Tensor) -> ImageSource:
        """Returns a source of the images at int64 ``indices``, in that order."""
        raise NotImplementedError

    def contents(self) -> str:
        """Returns a hash of the data behind the images and labels, without decoding any image."""
        raise NotImplementedError


class MemorySource(ImageSource):
    """A data set in memory as one tensor; reading a batch is one indexing operation.

    Args:
        images: uint8 [N, C, H, W] in 0..255, or float32 in [-1, 1].
        labels: int64 [N], or None.
        groups: see :class:`ImageSource`.
    """

    def __init__(
        self, images: Tensor, labels: Tensor | None = None, groups: Groups | None = None
    ) -> None:
        self.images = images.contiguous()
        self.labels = labels
        self.groups = groups
        self.shape = (images.shape[1], images.shape[2], images.shape[3])

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Tensor) -> Tensor:
        """Returns [B, C, H, W] on the device of the tensor."""
        if self.images.is_cpu:
            # NumPy copies in one thread: for a batch, waking torch's thread pool takes longer.
            return torch.from_numpy(self.images.numpy()[indices.numpy()])
        return self.images.index_select(0, indices.to(self.images.device, non_blocking=True))

    def subset(self, indices: Tensor) -> MemorySource:
        """Returns a copy of the images at ``indices``."""
        labels = None if self.labels is None else self.labels[indices]
        groups = None if self.groups is None else self.groups.subset(indices)
        return MemorySource(self.read(indices), labels, groups)

    def contents(self) -> str:
        """Returns a hash of every byte."""
        return hash_of(self.images, self.labels)

    def on(self, device: torch.device) -> MemorySource:
        """Returns the images on ``device`` if they take at most a quarter of its free memory.

        Applies to CUDA only: other devices share memory with the host.
        """
        if self.images.device == device or not fits_beside(self.images.nbytes, device):
            return self
        labels = None if self.labels is None else self.labels.to(device)
        return MemorySource(self.images.to(device), labels, self.groups)


def fits_beside(size: int, device: torch.device) -> bool:
    """Whether ``size`` bytes are at most a quarter of the free memory of a CUDA device."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return size <= free // 4


def holdout(labels: Tensor, count: int, spare: bool = False) -> tuple[Tensor, Tensor]:
    """Splits a data set into (train, test) indices, int64, increasing, with ``count`` for test.

    Test images are evenly spaced in the list sorted by label (systematic sampling). The split is
    therefore deterministic and keeps the class proportions.

    Args:
        labels: int64 [N].
        count: size of the test split.
        spare: keep at least one training image per class, even if the test split becomes smaller.
    """
    by_label = torch.argsort(labels, stable=True)
    positions = torch.arange(count) * len(labels) // max(count, 1)
    test = by_label[positions].sort().values
    if spare:
        test = test[~_last_ones(labels, test)]
    train = torch.ones(len(labels), dtype=torch.bool)
    train[test] = False
    return train.nonzero().flatten(), test


def _last_ones(labels: Tensor, positions: Tensor) -> Tensor:
    """Returns a bool mask of ``positions`` to put back, so that no class becomes empty."""
    back = torch.zeros(len(positions), dtype=torch.bool)
    chosen = labels[positions]
    left = labels.bincount() - chosen.bincount(minlength=int(labels.max()) + 1)
    for label in torch.unique(chosen[left[chosen] == 0]).tolist():
        back[(chosen == label).nonzero()[0]] = True
    return back


def hash_of(*parts: str | Tensor | None) -> str:
    """Returns a hash of texts and tensors, in order: 16 hex digits.

    Covers every byte, at about 1.5 GB per second.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype} {[*part.shape]};".encode())
            flat = part.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
        else:
            text = "none" if part is None else part
            # File names that are not valid UTF-8 contain surrogates.
            digest.update(f"{len(text)} {text};".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]
