from __future__ import annotations

from pathlib import Path

from ganforge.data.entries import FolderEntries
from ganforge.data.origin import Origin
from ganforge.data.pairs import pair_sources
from ganforge.data.source import ImageSource
from ganforge.data.translation_data import TranslationData
from ganforge.data.translation_layout import listed
from ganforge.errors import DataError

_PHOTOS, _LABELS = "leftImg8bit", "gtFine"
_PHOTO, _LABEL = "_leftImg8bit.png", "_gtFine_color.png"
_PARTS = {"train": "train", "test": "val"}
_ADVICE = (
    "Its licence forbids handing it on: register at https://www.cityscapes-dataset.com, download "
    "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, and unpack both into that folder."
)


class Cityscapes(TranslationData):
    """Cityscapes (Cordts et al. 2016, arXiv:1604.01685): A street photographs, B their labels.

    2,975 pairs are trained on and the 500 of the validation part held out, as by Isola et al. 2017,
    arXiv:1611.07004. Its licence forbids handing it on: nothing is downloaded.

    Args:
        root: folder of ``leftImg8bit/`` and ``gtFine/``; None for the one in the cache.
        name: what runs and tables call the data set.
        image_size: side of the windows that networks are given.
        load_size: side to which an image is resized, stretched, before a window is cut out.
        input_channels: 1 grey, 3 RGB (transparency laid on white), 2 and 4 the same with alpha.
        channels: of the targets, likewise.
        num_classes: 0.
        direction: "AtoB" if A is the input and B the target, "BtoA" for the opposite.
        batch_size: pairs of one critic update, over all processes.
        workers: loader processes; None for 0 with images in memory and up to 4 with streams.
        seed: the run's seed.
        mirror: flip pairs at random.
        max_images: train on that many pairs only.
        in_memory: whether files are decoded at the start; "auto" up to ``memory_limit_mb``.
        memory_limit_mb: see ``in_memory``.
        max_unreadable: unreadable pairs that are listed and skipped.
    """

    paired = True

    def __init__(
        self,
        root: str | None = None,
        name: str = "cityscapes",
        image_size: int = 256,
        load_size: int = 286,
        input_channels: int = 3,
        channels: int = 3,
        num_classes: int = 0,
        direction: str = "AtoB",
        batch_size: int = 1,
        workers: int | None = None,
        seed: int = 0,
        mirror: bool = True,
        max_images: int | None = None,
        in_memory: bool | str = "auto",
        memory_limit_mb: int = 4096,
        max_unreadable: int = 10,
    ) -> None:
        super().__init__(
            name,
            image_size,
            load_size,
            input_channels,
            channels,
            num_classes,
            direction,
            batch_size,
            workers,
            seed,
            mirror,
            max_images,
            in_memory,
            memory_limit_mb,
        )
        self.root = root
        self.max_unreadable = max_unreadable
        files = (f"{_PHOTOS}/train/", f"{_LABELS}/train/", f"{_PHOTOS}/val/", f"{_LABELS}/val/")
        self.origin = Origin("cityscapes", files, _present, None, _ADVICE)

    def prepare_data(self) -> None:
        """Refuses a root without the data set, and says how to get it."""
        self.origin.obtain(self.root)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        root = self.origin.folder(self.root)
        if not _present(root):
            raise self.origin.missing(self.root)
        entries = FolderEntries(root)
        partners = {
            name: f"{_LABELS}{name.removeprefix(_PHOTOS).removesuffix(_PHOTO)}{_LABEL}"
            for name in entries.names
            if name.startswith(f"{_PHOTOS}/") and name.endswith(_PHOTO)
        }
        missing = [name for name in partners.values() if not (root / name).is_file()]
        if missing:
            fault = f"{len(missing)} of {len(partners)} photographs have no labels"
            raise DataError(f"{root}: {fault}:\n{listed(missing)}")
        splits = {
            split: [name for name in partners if name.startswith(f"{_PHOTOS}/{part}/")]
            for split, part in _PARTS.items()
        }
        splits = {split: names for split, names in splits.items() if names}
        return pair_sources(self, root, entries, splits, partners, self.max_unreadable)


def _present(root: Path) -> bool:
    return all((root / folder / "train").is_dir() for folder in (_PHOTOS, _LABELS))
