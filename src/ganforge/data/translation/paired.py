from __future__ import annotations

from typing import Unpack

from ganforge.data.source import ImageSource
from ganforge.data.translation.own import OwnTranslation, OwnTranslationSettings
from ganforge.data.translation.pairs import load_pairs
from ganforge.errors import ConfigError
from ganforge.paths import typed_path


class PairedImages(OwnTranslation):
    """Your own pairs of images, as for Pix2Pix (Isola et al. 2017, arXiv:1611.07004).

    Either both images are side by side in one file, A on the left; or they have equal names, up to
    the suffix, in folders ``A`` and ``B``. Folders ``train`` and ``test`` (or ``val``) are the
    splits, below or above A and B, or joined with them, as in ``trainA``.

    Args:
        path: a folder, zip or tar.
        name: name of the data set in runs and tables.
        **settings: see :class:`ganforge.data.OwnTranslation`.
    """

    gives = frozenset({"inputs", "pairs"})

    def __init__(
        self,
        path: str | None = None,
        name: str = "paired",
        **settings: Unpack[OwnTranslationSettings],
    ) -> None:
        super().__init__([typed_path(path)] if path else [], name, **settings)
        if not path:
            raise ConfigError("data=paired needs data.path=PATH, a folder, zip or tar of pairs")

    def load(self) -> dict[str, ImageSource]:
        """Returns the splits given by the folders, or a train split and a held-out share."""
        return load_pairs(self, self.paths[0])
