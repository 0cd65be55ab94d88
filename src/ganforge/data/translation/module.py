from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ganforge.data.module import ImageDataModule
from ganforge.data.reals import Domain
from ganforge.data.settings import DataSettings, DecodedSettings
from ganforge.data.source import ImageSource
from ganforge.data.translation.crops import CentralSource, CroppedBatches, MergedBatches
from ganforge.errors import ConfigError
from ganforge.streams import Stream, mix

DIRECTIONS = ("AtoB", "BtoA")


class TargetSettings(DataSettings, total=False):
    """Keyword arguments of every translation data set, except ``input_channels``."""

    channels: int
    num_classes: int
    direction: str
    batch_size: int
    mirror: bool


class DomainSettings(TargetSettings, total=False):
    """Keyword arguments of every translation data set."""

    input_channels: int


class TranslationSettings(DomainSettings, total=False):
    """Keyword arguments that data sets of image files pass to TranslationData."""

    image_size: int
    load_size: int
    workers: int | None
    in_memory: bool | str
    memory_limit_mb: int
    cache: bool | str
    cache_limit_mb: int


class TranslationFileSettings(TranslationSettings, total=False):
    """Keyword arguments that data sets of image files pass to TranslationFiles."""

    max_unreadable: int


class TranslationData(ImageDataModule):
    """Base class of data sets for translation between two domains, A and B.

    Training images have side ``load_size``. They are cropped at random to ``image_size`` and
    flipped at random, the jitter of Isola et al. 2017, arXiv:1611.07004. A training batch is

        {"input": uint8 [B, input_channels, S, S], "image": uint8 [B, channels, S, S]}

    In paired data, row i of both tensors is the same pair with the same crop and flip. In unpaired
    data, each domain has its own order, its own crops and flips, and its own epochs.

    A subclass that gives pairs returns them from :meth:`load` as single images, the channels of the
    input before those of the target. Other subclasses return the images of one domain from
    :meth:`load_domain`. Test images may already have side ``image_size``.

    Args:
        name: name of the data set in runs and tables.
        image_size: side S of the images that the networks receive.
        load_size: side to which training images are resized (stretched) before cropping.
        input_channels: channels of the inputs: 1 gray, 3 RGB (transparency blended with white),
            2 and 4 the same with alpha.
        channels: channels of the targets, likewise.
        num_classes: 0.
        direction: "AtoB" if A is the input and B the target, "BtoA" for the opposite.
        batch_size: images, or pairs, per discriminator update, over all processes.
        workers: loader processes; see :class:`ganforge.data.ImageDataModule`.
        mirror: flip training images horizontally with probability 1/2.
        **settings: see :class:`ganforge.data.ImageDataModule`. The seed also determines the crops;
            ``max_images`` applies to each domain.

    Attributes:
        gives: "inputs", and "pairs" if each input has its own target.
    """

    gives = frozenset({"inputs"})

    def __init__(
        self,
        name: str,
        image_size: int = 256,
        load_size: int = 286,
        input_channels: int = 3,
        channels: int = 3,
        num_classes: int = 0,
        direction: str = "AtoB",
        batch_size: int = 1,
        workers: int | None = None,
        *,
        mirror: bool = True,
        **settings: Unpack[DecodedSettings],
    ) -> None:
        super().__init__(
            name, image_size, channels, num_classes, batch_size, workers, mirror=mirror, **settings
        )
        if input_channels not in (1, 2, 3, 4):
            raise ConfigError(f"input_channels must be 1, 2, 3 or 4, got {input_channels}")
        if num_classes != 0:
            raise ConfigError(f"num_classes must be 0 with data={name}: its images have no labels")
        if direction not in DIRECTIONS:
            raise ConfigError(f"direction must be AtoB or BtoA, got {direction!r}")
        if isinstance(load_size, bool) or not isinstance(load_size, int) or load_size < image_size:
            raise ConfigError(
                f"load_size must be an integer of at least image_size={image_size}, the side of "
                f"the crops; got {load_size!r}"
            )
        self.load_size = load_size
        self.input_channels = input_channels
        self.direction = direction
        self._streams: list[tuple[ImageSource, dict[str, int]]] = []
        self._domains: dict[str, Domain] = {}

    def load_domain(self, letter: str) -> dict[str, ImageSource]:
        """Returns ``train`` and, if there are held-out images, ``test`` of domain "A" or "B"."""
        raise NotImplementedError

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits of the target domain."""
        return self.load_domain(self.letters[1])

    def load_inputs(self) -> dict[str, ImageSource]:
        """Returns the splits of the input domain."""
        return self.load_domain(self.letters[0])

    @property
    def letters(self) -> tuple[str, str]:
        """Returns the letters of the input domain and the target domain."""
        return ("A", "B") if self.direction == "AtoB" else ("B", "A")

    def channels_of(self, letter: str) -> int:
        """Returns the number of channels of domain A or B."""
        return self.input_channels if letter == self.letters[0] else self.channels

    def setup(self, stage: str | None = None) -> None:
        """Loads both splits of both domains and checks them; raises DataError on mismatch."""
        if self._sources:
            return
        inputs, targets = self.input_channels, self.channels
        if "pairs" in self.gives:
            pairs = self._prepared(self.load(), self._loaded(inputs + targets))
            self._streams = [(pairs["train"], {"input": inputs, "image": targets})]
            input_sources, target_sources = pairs, pairs
        else:
            input_sources = self._prepared(self.load_inputs(), self._loaded(inputs))
            target_sources = self._prepared(self.load(), self._loaded(targets))
            self._streams = [
                (input_sources["train"], {"input": inputs}),
                (target_sources["train"], {"image": targets}),
            ]
        served = self._central(target_sources, inputs if "pairs" in self.gives else 0, targets)
        self._domains = {
            "input": Domain(self.name, self._central(input_sources, 0, inputs)),
            "target": Domain(self.name, served),
        }
        self._sources = served

    def inputs(self, n: int, split: str = "train", start: int = 0) -> Tensor:
        """Returns n inputs in a fixed shuffled order; for pairs, the inputs of the same ``reals``.

        Args:
            n: number of inputs; fewer are returned at the end of the split.
            split: "train" or "test".
            start: position of the first input in that order.

        Returns:
            uint8 [n, input_channels, S, S] in 0..255, never augmented.
        """
        self._check_split(split)
        return self._domains["input"].reals(n, split, start)[0]

    def input_size(self, split: str = "train") -> int:
        """Returns the number of inputs in ``split``; 0 if the split does not exist."""
        self._check_split(split)
        return self._domains["input"].size(split)

    def domain(self, role: str) -> Domain:
        """Returns the images of one role, "input" or "target", as a separate data set."""
        self.setup()
        if role not in self._domains:
            raise ConfigError(f"role must be input or target, got {role!r}")
        return self._domains[role]

    def _batches(self, device: torch.device) -> Dataset[dict[str, Tensor]]:
        parts = []
        for index, (source, channels) in enumerate(self._streams):
            seed = mix(self.seed, Stream.DOMAIN, index)
            near = self._near(source, device)
            parts.append(CroppedBatches(near, seed, self.image_size, self.mirror, channels))
        return MergedBatches(parts)

    def _trained_on(self) -> list[ImageSource]:
        return [source for source, _ in self._streams]

    def _loaded(self, channels: int) -> tuple[int, int, int]:
        return channels, self.load_size, self.load_size

    def _central(
        self, sources: dict[str, ImageSource], first: int, channels: int
    ) -> dict[str, ImageSource]:
        size = self.image_size
        return {
            split: CentralSource(source, first, channels, size) for split, source in sources.items()
        }


class TranslationFiles(TranslationData):
    """Base class of translation data sets in image files.

    Args:
        name: name of the data set in runs and tables.
        max_unreadable: number of unreadable images, or pairs, to log and skip per split; more are
            an error.
        **settings: see :class:`ganforge.data.TranslationData`.

    Attributes:
        holdout: held-out share of a data set, or domain, without a test folder.
        layout: version of the folder rules; see :class:`ganforge.data.ImageFolder`.
    """

    holdout: float = 0.0
    layout: int = 2

    def __init__(
        self, name: str, *, max_unreadable: int = 10, **settings: Unpack[TranslationSettings]
    ) -> None:
        super().__init__(name, **settings)
        self.max_unreadable = max_unreadable
