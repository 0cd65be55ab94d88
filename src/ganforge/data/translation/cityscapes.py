from __future__ import annotations

from pathlib import Path
from typing import Unpack

from ganforge.data.files.download import Origin
from ganforge.data.files.folder_entries import FolderEntries
from ganforge.data.source import ImageSource
from ganforge.data.translation.layout import listed
from ganforge.data.translation.module import TranslationFiles, TranslationFileSettings
from ganforge.data.translation.pairs import pair_sources
from ganforge.errors import DataError

_PHOTOS, _LABELS = "leftImg8bit", "gtFine"
_PHOTO, _LABEL = "_leftImg8bit.png", "_gtFine_color.png"
_PARTS = {"train": "train", "test": "val"}
_ADVICE = (
    "Its license forbids redistribution: register at https://www.cityscapes-dataset.com, download "
    "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, and unpack both into that folder."
)


class Cityscapes(TranslationFiles):
    """Cityscapes (Cordts et al. 2016, arXiv:1604.01685): A street photographs, B label maps.

    The train split has 2,975 pairs; the validation part, 500 pairs, is the test split, as in Isola
    et al. 2017, arXiv:1611.07004. The license forbids redistribution, so nothing is downloaded.

    Args:
        root: folder with ``leftImg8bit/`` and ``gtFine/``; None for the folder in the cache.
        name: name of the data set in runs and tables.
        **settings: see :class:`ganforge.data.TranslationFiles`.
    """

    gives = frozenset({"inputs", "pairs"})

    def __init__(
        self,
        root: str | None = None,
        name: str = "cityscapes",
        **settings: Unpack[TranslationFileSettings],
    ) -> None:
        super().__init__(name, **settings)
        self.root = root
        files = (f"{_PHOTOS}/train/", f"{_LABELS}/train/", f"{_PHOTOS}/val/", f"{_LABELS}/val/")
        self.origin = Origin("cityscapes", files, _find, None, _ADVICE)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        root = self.located()
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
        return pair_sources(self, root, entries, splits, partners)


def _find(root: Path) -> Path | None:
    present = all((root / folder / "train").is_dir() for folder in (_PHOTOS, _LABELS))
    return root if present else None
