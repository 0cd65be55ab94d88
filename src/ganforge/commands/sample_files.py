"""Writes samples block by block, so that memory does not grow with their number."""

from __future__ import annotations

import itertools
import math
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganforge import atomic
from ganforge.callbacks.pictures.grid import (
    CELL,
    PADDING,
    by_class,
    label_rows,
    picture,
    save,
    single,
)
from ganforge.callbacks.pictures.scatter import scatter
from ganforge.console import console
from ganforge.data.files.encoded import SUFFIXES
from ganforge.data.sets.points import Mixture
from ganforge.errors import ConfigError, RunError
from ganforge.paths import check_file, check_folder, is_there
from ganforge.runs.contents import refuse_run

MAX_GRID_PIXELS = 100_000_000  # per grid; most viewers cannot open larger images
ANNOUNCED_BYTES = 100_000_000  # the size of larger outputs is printed before the work starts
_FILE_BYTES = 4096  # minimum size of a file on disk
_OTHER_FILES = SUFFIXES | {".npy", ".zip", ".tar", ".pt"}
_SIZED = 16  # images compressed to estimate the total size

# Called with (first, count); returns int64 [count], the classes of samples first, first + 1, ...
Labels = Callable[[int, int], Tensor]


@dataclass(frozen=True)
class Samples:
    """Samples that are generated lazily while they are written.

    Attributes:
        n: number of samples.
        blocks: blocks of [count, C, H, W], uint8 images or float32 points.
        labels: classes of the samples; None without classes.
    """

    n: int
    blocks: Iterator[Tensor]
    labels: Labels | None = None

    def peeked(self) -> tuple[Tensor, Samples]:
        """Returns the first block, and samples that still start with it."""
        first = next(self.blocks)
        return first, Samples(self.n, itertools.chain([first], self.blocks), self.labels)


def check_out(out: Path, points: bool) -> None:
    """Checks that the output can be written, and refuses single PNGs of points.

    A path that ends in .png or .npz is a file. Any other path is a folder, unless its suffix is
    that of another file type, which is refused.
    """
    if out.suffix.lower() in (".png", ".npz"):
        check_file(out, "out")
        return
    if points:
        raise ConfigError(
            f"out={out}: 2D points are not images; it must end in .png (a density plot) or .npz "
            "(an array)"
        )
    is_folder = is_there(out) and out.is_dir()
    if not is_folder and (is_there(out) or out.suffix.lower() in _OTHER_FILES):
        raise ConfigError(f"out={out}: must be a folder, or end in .png (a grid) or .npz")
    check_folder(out, "out")
    refuse_run(out)


def write_images(samples: Samples, out: Path, rows: int = 0, names: Sequence[str] = ()) -> None:
    """Writes images: a grid to FILE.png, an array to FILE.npz, otherwise single PNGs.

    The array is ``images`` uint8 [N, H, W, C], the layout that common evaluation suites read, with
    ``labels`` int64 [N] if there are classes.

    Args:
        samples: blocks of uint8 [count, C, H, W].
        out: output path.
        rows: number of classes that get one row each in a grid; 0 for a nearly square grid.
        names: class names to print next to the rows; empty for none.

    Raises:
        ConfigError: if a grid would be too large.
        RunError: if the disk is full or has too little space.
    """
    first, samples = samples.peeked()
    if out.suffix.lower() == ".png":
        check_grid(samples.n, first.shape[2], first.shape[3])
        _write_grid(samples, out, rows, names)
        return
    check_space(out, samples.n, first)
    if out.suffix.lower() == ".npz":
        channels_last = (block.permute(0, 2, 3, 1) for block in samples.blocks)
        _write_arrays(out, "images", Samples(samples.n, channels_last, samples.labels))
        return
    out.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(itertools.chain.from_iterable(samples.blocks)):
        save(single(image), out / f"{index:06d}.png", durable=False)


def write_points(samples: Samples, out: Path, mixture: Mixture) -> None:
    """Writes 2D points: a density plot to FILE.png, an array to FILE.npz.

    The array is ``points`` float32 [N, 2] in [-1, 1], with ``labels`` int64 [N] if there are
    classes.

    Args:
        samples: blocks of float32 [count, 2, 1, 1].
        out: output path.
        mixture: distribution of the real points.
    """
    if out.suffix.lower() == ".png":
        save(scatter(samples.blocks, mixture), out)
        return
    first, samples = samples.peeked()
    check_space(out, samples.n, first)
    flat = (block.flatten(1) for block in samples.blocks)
    _write_arrays(out, "points", Samples(samples.n, flat, samples.labels))


def check_grid(n: int, height: int, width: int) -> None:
    """Refuses a grid with more pixels than image viewers can open.

    Raises:
        ConfigError: naming the outputs that take any number of images.
    """
    factor = max(1, math.ceil(CELL / max(height, width)))
    cell = (height * factor + PADDING) * (width * factor + PADDING)
    if n * cell > MAX_GRID_PIXELS:
        raise ConfigError(
            f"n={n}: too many images for a grid, which holds at most {MAX_GRID_PIXELS // cell:,} "
            "of this size. out=FILE.npz or out=FOLDER holds any number"
        )


def check_space(out: Path, n: int, first: Tensor) -> None:
    """Prints the estimated size of large outputs, and refuses those that do not fit on the disk.

    Args:
        out: a folder of PNGs, or one compressed file.
        n: number of samples.
        first: first samples, from which the total size is estimated.

    Raises:
        RunError: with the estimated and the free space.
    """
    raw = first[:_SIZED].contiguous().numpy().tobytes()
    each = len(zlib.compress(raw)) / len(first[:_SIZED])
    single_files = out.suffix.lower() != ".npz"
    total = n * (math.ceil(each / _FILE_BYTES) * _FILE_BYTES if single_files else each)
    folder = next(path for path in (out, *out.absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if total > free:
        raise RunError(
            f"n={n}: takes about {total / 1e9:,.1f} GB, but {folder} has {free / 1e9:,.1f} GB free"
        )
    if total > ANNOUNCED_BYTES:
        console.print(f"{n:,} samples take about {total / 1e9:,.1f} GB in {out}")


def _write_grid(samples: Samples, out: Path, rows: int, names: Sequence[str]) -> None:
    images = torch.cat(list(samples.blocks))
    labels = samples.labels(0, samples.n) if samples.labels is not None else None
    cells = (images, None) if labels is None or not rows else by_class(images, labels, rows)
    save(label_rows(picture(*cells), list(names)[:rows]), out)


def _write_arrays(out: Path, name: str, samples: Samples) -> None:
    try:
        with (
            atomic.writing(out) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            _write_array(archive, name, samples.n, samples.blocks)
            if samples.labels is not None:
                _write_array(archive, "labels", samples.n, _labeled(samples.labels, samples.n))
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror or error}") from error


def _write_array(archive: zipfile.ZipFile, name: str, n: int, blocks: Iterable[Tensor]) -> None:
    """Writes an array of n rows in the format of ``numpy.savez_compressed``, block by block."""
    # The header states the full shape before all rows exist; force_zip64 since the size is unknown.
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        for index, block in enumerate(blocks):
            array = np.ascontiguousarray(block.numpy())
            if index == 0:
                header = np.lib.format.header_data_from_array_1_0(array)
                header["shape"] = (n, *array.shape[1:])
                np.lib.format.write_array_header_2_0(member, header)
            member.write(array.data)


def _labeled(labels: Labels, n: int, count: int = 65536) -> Iterator[Tensor]:
    for first in range(0, n, count):
        yield labels(first, min(count, n - first))
