from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import Dataset

from ganforge.data.files.cached import CachedSource, is_quick
from ganforge.data.files.download import Origin
from ganforge.data.files.encoded import Entries
from ganforge.data.files.keeping import Keeping
from ganforge.data.files.range_scan import find_span
from ganforge.data.files.source import FileSource
from ganforge.data.files.value_range import Span, noted, read_range, written
from ganforge.data.identity import Identity, identity_of
from ganforge.data.images import fault_of
from ganforge.data.order import Deal, Progress, check_divisible, fixed_order
from ganforge.data.reals import RealImages
from ganforge.data.source import ImageSource, MemorySource
from ganforge.data.stream import Batches, TrainingStream, workers_for_files
from ganforge.errors import ConfigError, DataError
from ganforge.needs import Need

SPLITS = ("train", "test")
_log = logging.getLogger(__name__)
_CHECKED = 64  # images that are checked for nearly constant values


class ImageDataModule(RealImages, LightningDataModule):
    """Base class of all data sets: an endless training stream, and fixed real images for scores.

    Subclasses load the images in :meth:`load`. Those of public data sets set ``root`` and
    ``origin``; :meth:`prepare_data` downloads the files.

    Args:
        name: name of the data set in runs and tables.
        image_size: side of the square images.
        channels: 1 gray, 2 gray with alpha, 3 RGB, 4 RGBA.
        num_classes: number of labels; 0 for unlabelled data.
        batch_size: images per discriminator update, over all processes and before accumulation.
        workers: loader processes; None means 0 for images in memory or in the cache, and for files
            the cores of each process, up to 16.
        seed: seed of the run; determines the order and the flips.
        mirror: flip each training image horizontally with probability 1/2.
        max_images: number of images to train on; None for all.
        in_memory: true keeps decoded image files in memory, false decodes them on every read,
            "auto" keeps up to 100,000 in memory if they fit into ``memory_limit_mb``.
        memory_limit_mb: see ``in_memory``.
        cache: true decodes image files once, into a file in the cache that the next runs read too;
            false does not, "auto" does so for 10,000 and more if they fit into ``cache_limit_mb``
            and take at most half of the free disk space. Batches are the same.
        cache_limit_mb: see ``cache``; the limit of all these files together.

    Attributes:
        gives: what batches hold besides images; labels are given by ``num_classes``.
        finds_classes: whether the number of classes is read from the data, as from folders.
        classes: class names of a data set with fixed classes.
        class_names: name of each label; empty if labels have no names.
        skipped: descriptions of files and folders that are not used.
        remarks: further notes for the user on how the data were read.
        range: value range of images that are not 8-bit, set by the user or recorded by the run.
        origin: location of the files of a public data set.
        root: the user's folder with these files; None for the cache.
    """

    name: str
    gives: frozenset[Need] = frozenset()
    finds_classes: bool = False
    classes: tuple[str, ...] = ()
    range: list[float] | dict[str, Any] | None = None
    origin: Origin | None = None
    root: str | None = None

    def __init__(
        self,
        name: str,
        image_size: int = 32,
        channels: int = 3,
        num_classes: int = 0,
        batch_size: int = 64,
        workers: int | None = 0,
        seed: int = 0,
        mirror: bool = False,
        max_images: int | None = None,
        in_memory: bool | str = "auto",
        memory_limit_mb: int = 4096,
        cache: bool | str = "auto",
        cache_limit_mb: int = 16384,
    ) -> None:
        super().__init__()
        at_least("image_size", image_size, 1)
        at_least("num_classes", num_classes, 0)
        at_least("batch_size", batch_size, 1)
        at_least("workers", workers or 0, 0)
        at_least("max_images", 2 if max_images is None else max_images, 2)
        at_least("memory_limit_mb", memory_limit_mb, 0)
        at_least("cache_limit_mb", cache_limit_mb, 0)
        if channels not in (1, 2, 3, 4):
            raise ConfigError(f"channels must be 1, 2, 3 or 4, got {channels}")
        self.name = name
        self.image_size = image_size
        self.channels = channels
        self.num_classes = num_classes
        self.batch_size = batch_size
        self.workers = workers or 0
        self.seed = seed
        self.mirror = mirror
        self.max_images = max_images
        self._keeping = Keeping(name, in_memory, memory_limit_mb, cache, cache_limit_mb)
        self.class_names: list[str] = [*self.classes] if num_classes == len(self.classes) else []
        self.skipped: list[str] = []
        self.remarks: list[str] = []
        self._workers_chosen = workers is not None
        self._spans: dict[str, Span] = {}
        self._originals: list[tuple[ImageSource, int]] = []
        self._identity: list[Identity] | None = None

    def prepare_data(self) -> None:
        """Downloads the files of a public data set; raises DataError if they are not available."""
        if self.origin is not None:
            self.origin.obtain(self.root)

    def located(self) -> Path:
        """Returns the path of a public data set; raises DataError if it is incomplete."""
        assert self.origin is not None
        return self.origin.located(self.root)

    def load(self) -> dict[str, ImageSource]:
        """Returns the sources ``train`` and, if there are held-out images, ``test``."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Loads both splits and checks them against the settings; raises DataError on mismatch."""
        if not self._sources:
            shape = (self.channels, self.image_size, self.image_size)
            self._sources = self._prepared(self.load(), shape)

    def _prepared(
        self, loaded: dict[str, ImageSource], shape: tuple[int, int, int]
    ) -> dict[str, ImageSource]:
        keep = self._keeping
        sources = {split: keep.at_start(source) for split, source in loaded.items()}
        if "train" not in sources:
            raise DataError(f"data={self.name} has no training images")
        train = sources["train"]
        if self.max_images is not None and self.max_images < len(train):
            train = train.subset(fixed_order(len(train))[: self.max_images])
        sources["train"] = train = keep.on_disk(train)
        self._check(train, shape)
        self._originals.append((loaded["train"], len(train)))
        if isinstance(loaded["train"], FileSource):
            self._warn_if_uniform(train)
        return sources

    def span(self, entries: Entries, names: list[str], letter: str | None = None) -> Span:
        """Returns the common value range of images that are not 8-bit, configured or detected.

        Args:
            entries: reads the images.
            names: names of the images of all splits.
            letter: "A" or "B", the domain of translation data.
        """
        label = f"data={self.name}" if letter is None else f"data={self.name}, domain {letter}"
        span = find_span(label, entries, names, read_range(self.range, letter))
        self._spans[letter or ""] = span
        return span

    def set_span(self) -> Span | None:
        """Returns the value range of data without domains; None for data not read from files."""
        return self._spans.get("")

    def range_found(self) -> dict[str, Any] | None:
        """Returns the ``data.range`` to record in the run; None if no range was detected."""
        return noted(self._spans.get("", self._spans))

    def source_of(self, split: str) -> ImageSource:
        """Returns the images of a split in their own order."""
        self._check_split(split)
        return self._sources[split]

    def size(self, split: str = "train") -> int:
        """Returns the number of images in ``split``; 0 if the split does not exist."""
        self._check_split(split)
        return super().size(split)

    def empty_classes(self) -> list[str]:
        """Returns the names (or numbers, if unnamed) of classes without a training image."""
        labels = self.real_labels("train")
        if labels is None:
            return []
        counts = labels.bincount(minlength=self.num_classes).tolist()
        names = self.class_names or [str(label) for label in range(len(counts))]
        return [name for name, count in zip(names, counts, strict=True) if count == 0]

    def identity(self) -> list[Identity]:
        """Returns what identifies the training images, independent of where they are stored."""
        if self._identity is None:
            span = written(self._spans)
            self._identity = [identity_of(source, n, span) for source, n in self._originals]
            self._originals.clear()  # a tar's source holds the whole tar in memory
        return self._identity

    def train_dataloader(self) -> TrainingStream:
        """Returns the endless stream: one item holds the images of one training step.

        Each iteration starts at the current ``images_seen`` of the trainer's module.
        """
        self.setup("fit")
        trainer = self.trainer
        assert trainer is not None
        check_divisible(self.batch_size, trainer.world_size)
        if not self._workers_chosen and not all(map(is_quick, self._trained_on())):
            self.workers = workers_for_files(trainer.num_devices)
        device = trainer.lightning_module.device
        deal = Deal(self.batch_size, self._progress)
        return TrainingStream(self._batches(device), deal, self.workers, device)

    def decode_once(self) -> None:
        """Decodes the training images into the cache, if they are to be kept there.

        Training works without it. A run calls it once, before its processes meet.

        Raises:
            DataError: the images are unreadable; or, with ``cache=true``, cannot be cached.
        """
        self.setup("fit")
        for source in self._trained_on():
            self._keeping.decode_once(source)

    def _trained_on(self) -> list[ImageSource]:
        """Returns the sources of the training batches."""
        return [self._sources["train"]]

    def _batches(self, device: torch.device) -> Dataset[dict[str, Tensor]]:
        return Batches(self._near(self._sources["train"], device), self.seed, self.mirror)

    def _near(self, source: ImageSource, device: torch.device) -> ImageSource:
        """Moves images in memory to the device if no worker processes read them."""
        if self.workers == 0 and isinstance(source, MemorySource | CachedSource):
            return source.on(device)
        return source

    def _progress(self) -> Progress:
        trainer = self.trainer
        assert trainer is not None
        module = trainer.lightning_module
        return Progress(
            images_seen=int(module.images_seen),  # type: ignore[arg-type]
            iteration=int(module.iteration),  # type: ignore[arg-type]
            critic_steps_at=module.critic_steps_at,  # type: ignore[arg-type]
            rank=trainer.global_rank,
            world=trainer.world_size,
            batch_size_at=module.batch_size_at,  # type: ignore[arg-type]
        )

    def _check(self, train: ImageSource, expected: tuple[int, int, int]) -> None:
        if train.shape != expected:
            raise DataError(f"data={self.name} has images {train.shape}, expected {expected}")
        if train.labels is not None and 0 < self.num_classes <= (top := int(train.labels.max())):
            raise DataError(
                f"data={self.name} has the label {top}, but num_classes={self.num_classes}: set "
                f"data.num_classes={top + 1}"
            )
        if len(train) < 2:
            raise DataError(
                f"data={self.name} has {len(train)} training image, but needs at least 2"
            )
        if self.batch_size > len(train):
            raise DataError(
                f"batch_size={self.batch_size} is larger than the {len(train)} training images of "
                f"data={self.name}: set data.batch_size={len(train)} or less"
            )

    def _warn_if_uniform(self, train: ImageSource) -> None:
        """Warns about nearly constant images, for example due to a wrong value range."""
        fault = fault_of(train.read(fixed_order(len(train))[:_CHECKED]))
        if fault is not None:
            checked = min(_CHECKED, len(train))
            _log.warning("data=%s: of %d training images, %s", self.name, checked, fault)

    def _check_split(self, split: str) -> None:
        if split not in SPLITS:
            raise ConfigError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        self.setup()


def at_least(name: str, value: object, least: int) -> None:
    """Raises ConfigError unless an argument is an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} must be an integer of at least {least}, got {value!r}")
