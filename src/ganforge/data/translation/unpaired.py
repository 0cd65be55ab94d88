from __future__ import annotations

from typing import Unpack

from ganforge.data.source import ImageSource
from ganforge.data.translation.domains import load_domain
from ganforge.data.translation.own import OwnTranslation, OwnTranslationSettings
from ganforge.errors import ConfigError
from ganforge.paths import typed_path


class UnpairedImages(OwnTranslation):
    """Your own images of two domains, as for CycleGAN (Zhu et al. 2017, arXiv:1703.10593).

    The images are in folders ``trainA``, ``trainB``, ``testA`` and ``testB``, or ``A`` and ``B``,
    under ``path``. Alternatively, each domain has its own path, ``path_a`` and ``path_b``, in which
    folders ``train`` and ``test`` (or ``val``) are the splits.

    Args:
        path: a folder, zip or tar of both domains.
        path_a: a folder, zip or tar of domain A only; with ``path_b``, instead of ``path``.
        path_b: likewise for domain B.
        name: name of the data set in runs and tables.
        **settings: see :class:`ganforge.data.OwnTranslation`.
    """

    def __init__(
        self,
        path: str | None = None,
        path_a: str | None = None,
        path_b: str | None = None,
        name: str = "unpaired",
        **settings: Unpack[OwnTranslationSettings],
    ) -> None:
        texts = [path] if path else [path_a, path_b]
        super().__init__([typed_path(text) for text in texts if text], name, **settings)
        if not (path and not path_a and not path_b) and not (path_a and path_b and not path):
            raise ConfigError(
                "data=unpaired needs data.path=PATH of trainA/ and trainB/, or both "
                "data.path_a=PATH and data.path_b=PATH"
            )

    def load_domain(self, letter: str) -> dict[str, ImageSource]:
        """Returns the splits of domain "A" or "B"."""
        path = self.paths[0 if letter == "A" else -1]
        return load_domain(self, path, letter, shared=len(self.paths) == 1)
