from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from ganforge.data.files.download import Origin, fetch, unpack
from ganforge.data.source import ImageSource
from ganforge.data.translation.module import TranslationFiles, TranslationFileSettings
from ganforge.data.translation.pairs import load_domain, load_pairs
from ganforge.errors import ConfigError

_PIX2PIX = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{}.tar.gz"
_CYCLEGAN = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{}.zip"


class TranslationArchive(TranslationFiles):
    """Base class of public translation data sets that are one archive each.

    Args:
        root: the unpacked data set or the original archive, or the folder that contains it; None to
            download into the cache.
        name: name of the data set, one of ``archives``.
        **settings: see :class:`ganforge.data.TranslationFiles`.

    Attributes:
        archives: URL of the archive of each data set.

    Raises:
        ConfigError: ``archives`` has no data set of that name.
    """

    archives: Mapping[str, str]

    def __init__(
        self, root: str | None, name: str, **settings: Unpack[TranslationFileSettings]
    ) -> None:
        super().__init__(name, **settings)
        if name not in self.archives:
            raise ConfigError(f"name must be one of {', '.join(self.archives)}, got {name!r}")
        self.root = root
        self.url = self.archives[name]
        self.file = self.url.rpartition("/")[2]
        self.stem = self.file.partition(".")[0]
        self.origin = Origin(
            name,
            (f"{self.stem}/ or {self.file}",),
            self._find,
            self._download,
            f"The archive is {self.url}.",
        )

    def _find(self, root: Path) -> Path | None:
        if root.name == self.file and root.is_file():
            return root
        unpacked = [root / self.stem, *([root] if any(root.glob("train*")) else [])]
        candidates = [path for path in unpacked if path.is_dir() and any(path.iterdir())]
        candidates += [path for path in [root / self.file] if path.is_file()]
        return candidates[0] if candidates else None

    def _download(self, root: Path) -> None:
        archive = root / self.file
        fetch(self.url, archive)
        unpack(archive, root)
        archive.unlink()


class Pix2PixArchive(TranslationArchive):
    """A data set published with Pix2Pix: pairs side by side in one file, A on the left.

    Isola et al. 2017, arXiv:1611.07004. The test split is the test part, or the validation part if
    there is no test part.

    Args:
        root: location of the unpacked data set or the original archive; None to download into
            the cache.
        name: facades, maps or edges2shoes.
        **settings: see :class:`ganforge.data.TranslationFiles`.
    """

    gives = frozenset({"inputs", "pairs"})
    archives = {name: _PIX2PIX.format(name) for name in ("facades", "maps", "edges2shoes")}

    def __init__(
        self,
        root: str | None = None,
        name: str = "facades",
        **settings: Unpack[TranslationFileSettings],
    ) -> None:
        super().__init__(root, name, **settings)

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        return load_pairs(self, self.located())


class CycleGANArchive(TranslationArchive):
    """A data set published with CycleGAN: ``trainA``, ``trainB``, ``testA``, ``testB``.

    Zhu et al. 2017, arXiv:1703.10593.

    Args:
        root: location of the unpacked data set or the original archive; None to download into
            the cache.
        name: horse2zebra, monet2photo or summer2winter.
        **settings: see :class:`ganforge.data.TranslationFiles`.
    """

    archives = {
        "horse2zebra": _CYCLEGAN.format("horse2zebra"),
        "monet2photo": _CYCLEGAN.format("monet2photo"),
        "summer2winter": _CYCLEGAN.format("summer2winter_yosemite"),
    }

    def __init__(
        self,
        root: str | None = None,
        name: str = "horse2zebra",
        **settings: Unpack[TranslationFileSettings],
    ) -> None:
        super().__init__(root, name, **settings)

    def load_domain(self, letter: str) -> dict[str, ImageSource]:
        """Returns the splits of domain "A" or "B"."""
        return load_domain(self, self.located(), letter)
