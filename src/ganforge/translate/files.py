from __future__ import annotations

import logging
import os
from collections import Counter
from pathlib import Path, PurePosixPath

from ganforge.data.files.decoding import upright_size
from ganforge.data.files.encoded import SUFFIXES, Entries, check_size, read_whole
from ganforge.data.files.entries import open_entries
from ganforge.data.files.folder_entries import open_data
from ganforge.errors import ConfigError
from ganforge.paths import check_folder

log = logging.getLogger("ganforge")

_ARCHIVES = frozenset((".zip", ".tar", ".tgz", ".gz"))
# Limit of an encoded image: 2^30 uncompressed pixels in color take 4 GB.
LARGEST_BYTES = 4 * 2**30
_CHECKED = 16  # images whose sizes are checked for side-by-side pairs


class FileEntry(Entries):
    """A single image file as a collection of one entry.

    Args:
        path: path of an existing file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.names = [path.name]

    def read(self, name: str) -> bytes:
        """Returns the bytes of the file."""
        with open_data(self.path) as file:
            check_size(os.fstat(file.fileno()).st_size, LARGEST_BYTES)
            return read_whole(file, LARGEST_BYTES)


def open_input(path: Path) -> Entries:
    """Returns the images of a folder, zip or tar, or a single image file.

    Raises:
        DataError: there are no images, or they cannot be read.
    """
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return FileEntry(path)
    return open_entries(path, LARGEST_BYTES)


def output_names(names: list[str]) -> list[str]:
    """Returns the path of each translated image, relative to the output folder.

    ``a/b.jpg`` becomes ``a/b.png``. Images that only differ in their suffix keep it, as
    ``b.jpg.png`` and ``b.gif.png``. A path such as ``../b.jpg`` in a zip stays inside the folder.
    Names are unique on case-insensitive file systems too.
    """
    inside = [_inside(name) for name in names]
    plain = [str(name.with_suffix(".png")) for name in inside]
    shared = {name for name, count in Counter(map(str.casefold, plain)).items() if count > 1}
    taken: set[str] = set()
    targets = []
    for name, short in zip(inside, plain, strict=True):
        target = f"{name}.png" if short.casefold() in shared else short
        targets.append(_free(target, taken))
        taken.add(targets[-1].casefold())
    return targets


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/") if os.sep == "\\" else name)
    return PurePosixPath(*[part for part in path.parts if part not in ("/", "//", "..")])


def _free(target: str, taken: set[str]) -> str:
    numbered, number = target, 1
    while numbered.casefold() in taken:
        number += 1
        numbered = f"{target.removesuffix('.png')}-{number}.png"
    return numbered


def check_out(out: Path, source: Path, names: list[str], targets: list[str]) -> None:
    """Checks that the output folder is writable and that no input would be overwritten.

    Args:
        out: output folder.
        source: the input: a folder, archive or file.
        names: names of the images in ``source``; used if it is a folder.
        targets: paths to be written, relative to ``out``.

    Raises:
        ConfigError: ``out`` is not a folder, is inside ``source``, or a target is an input.
        RunError: no file can be written to ``out``.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out={out} is a file: give a folder, where images keep their names")
    if not out.exists() and out.suffix.lower() in SUFFIXES | _ARCHIVES:
        raise ConfigError(
            f"out={out} looks like a file: give a folder, where images keep their names"
        )
    folder, home = out.resolve(), source.resolve()
    if source.is_dir() and (folder == home or home in folder.parents):
        raise ConfigError(
            f"out={out} is inside input={source}, where outputs would become inputs: give a "
            "folder outside"
        )
    inputs = {(source / name).resolve() for name in names} if source.is_dir() else {home}
    for target in targets:
        if (out / target).resolve() in inputs:
            raise ConfigError(f"out={out} would overwrite the input {out / target}: give another")
    check_folder(out, "out")


def warn_of_pairs(entries: Entries, learns_from_pairs: bool) -> None:
    """Logs a warning if images look like side-by-side pairs, which would be translated as a whole.

    Only the headers of the first images are read.

    Args:
        entries: the images to translate.
        learns_from_pairs: whether the run's model was trained on pairs.
    """
    if not learns_from_pairs:
        return
    sizes = [size for name in entries.names[:_CHECKED] if (size := _size(entries, name))]
    if sizes and all(width == 2 * height for width, height in sizes):
        log.warning(
            "the images are twice as wide as high, like side-by-side pairs (%s: %d x %d): each is "
            "translated as a whole. To translate one side, use images of that side only",
            entries.names[0],
            *sizes[0],
        )


def _size(entries: Entries, name: str) -> tuple[int, int] | None:
    try:
        with entries.open(name) as file:
            return upright_size(file)
    except Exception:  # decoders raise many types; unreadable images are reported later
        return None
