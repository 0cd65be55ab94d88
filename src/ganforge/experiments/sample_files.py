from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from ganforge import atomic
from ganforge.callbacks.grid import by_class, picture, save, single
from ganforge.callbacks.scatter import scatter
from ganforge.data.mixture import Mixture
from ganforge.errors import ConfigError


def check_out(out: Path, points: bool) -> None:
    """Refuses a path whose ending names no kind of file, and single PNGs of points."""
    if points and out.suffix not in (".png", ".npz"):
        raise ConfigError(
            f"out={out}: points of the plane have no picture each; must end in .png (the density "
            "of all) or .npz (an array)"
        )
    if out.suffix not in (".png", ".npz", ""):
        raise ConfigError(f"out={out}: must end in .png (a grid), .npz (an array), or be a folder")


def write_images(images: Tensor, out: Path, labels: Tensor | None = None, rows: int = 0) -> None:
    """Writes images: a grid to FILE.png, an array to FILE.npz, else single PNGs.

    The array is ``images`` uint8 [N, H, W, C], as the evaluation suites of the field read it, and
    ``labels`` int64 [N] beside it where there are any.

    Args:
        images: uint8 [N, C, H, W].
        out: where to.
        labels: class of each image.
        rows: classes that have a row each in a grid; 0 for a grid as square as may be.
    """
    if out.suffix == ".npz":
        _write_arrays(out, "images", images.permute(0, 2, 3, 1), labels)
    elif out.suffix == ".png":
        shown = (images, None) if labels is None or not rows else by_class(images, labels, rows)
        save(picture(*shown), out)
    else:
        out.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            save(single(image), out / f"{i:06d}.png")


def write_points(points: Tensor, out: Path, mixture: Mixture, labels: Tensor | None = None) -> None:
    """Writes points of the plane: their density to FILE.png, an array to FILE.npz.

    The array is ``points`` float32 [N, 2] in [-1, 1], and ``labels`` int64 [N] beside it where
    there are any.

    Args:
        points: float32 [N, 2, 1, 1].
        out: where to.
        mixture: what real points are drawn from.
        labels: class of each point.
    """
    if out.suffix == ".npz":
        _write_arrays(out, "points", points.flatten(1), labels)
    else:
        save(scatter(points, mixture), out)


def _write_arrays(out: Path, name: str, values: Tensor, labels: Tensor | None) -> None:
    arrays = {name: values.numpy()}
    arrays |= {} if labels is None else {"labels": labels.numpy()}
    with atomic.writing(out) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
