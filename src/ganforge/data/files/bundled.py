"""Images that come with scikit-learn, read without importing it.

Its import takes more processor time than everything else that a small run does before its first
step.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns what ``load_digits(return_X_y=True)`` returns.

    Returns:
        1,797 digits of 64 pixels in 0 ... 16, float64, and their classes, integers.
    """
    path = _find("data", "digits.csv.gz")
    if path is None:
        from sklearn.datasets import load_digits

        pixels, classes = load_digits(return_X_y=True)
        return pixels, classes
    rows = np.loadtxt(path, delimiter=",")
    return rows[:, :-1], rows[:, -1].astype(int)


def photograph(name: str) -> np.ndarray:
    """Returns what ``load_sample_image`` returns, uint8 [427, 640, 3].

    Args:
        name: "china" or "flower".
    """
    path = _find("images", f"{name}.jpg")
    if path is None:
        from sklearn.datasets import load_sample_image

        pixels: np.ndarray = load_sample_image(f"{name}.jpg")
        return pixels
    with Image.open(path) as image:
        return np.array(image)


def _find(*parts: str) -> Path | None:
    """Returns the path of a file in ``sklearn.datasets``; None where this version keeps none."""
    package = find_spec("sklearn")
    folders = package.submodule_search_locations if package is not None else None
    paths = (Path(folder, "datasets", *parts) for folder in folders or ())
    return next((path for path in paths if path.is_file()), None)
