"""Origin and location of the archives of public translation data sets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ganforge.data.files.download import Origin
from ganforge.data.files.fetching import fetch, unpack
from ganforge.errors import ConfigError


def archive_origin(name: str, urls: Mapping[str, str]) -> Origin:
    """Returns the origin of a data set that is one archive.

    Args:
        name: name of the data set.
        urls: URL of the archive of each data set.

    Raises:
        ConfigError: ``urls`` has no data set of that name.
    """
    if name not in urls:
        raise ConfigError(f"name must be one of {', '.join(urls)}, got {name!r}")
    url = urls[name]
    file = url.rpartition("/")[2]
    stem = file.partition(".")[0]
    return Origin(
        name,
        (f"{stem}/ or {file}",),
        lambda root: _place(root, stem, file) is not None,
        partial(_download, url=url, file=file),
        f"The archive is {url}.",
    )


def archive_place(origin: Origin, root: str | None) -> Path:
    """Returns the folder or archive of the images; raises DataError if there is none."""
    folder = origin.folder(root)
    stem, _, file = origin.files[0].partition("/ or ")
    place = _place(folder, stem, file)
    if place is None:
        raise origin.missing(root)
    return place


def _place(root: Path, stem: str, file: str) -> Path | None:
    if root.name == file and root.is_file():
        return root
    unpacked = [root / stem, *([root] if any(root.glob("train*")) else [])]
    candidates = [path for path in unpacked if path.is_dir() and any(path.iterdir())]
    candidates += [path for path in [root / file] if path.is_file()]
    return candidates[0] if candidates else None


def _download(root: Path, url: str, file: str) -> None:
    archive = root / file
    fetch(url, archive)
    unpack(archive, root)
    archive.unlink()
