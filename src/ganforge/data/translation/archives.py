from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from ganforge.data.files.download import Origin, fetch, unpack
from ganforge.data.translation.module import TranslationFiles, TranslationFileSettings
from ganforge.errors import ConfigError


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
