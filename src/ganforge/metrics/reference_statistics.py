"""Precomputed means and covariances of features, in the NPZ format of pytorch-fid and others."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import ConfigError, DataError
from ganforge.metrics.features.base import FeatureExtractor

IMAGES = ("images", "arr_0")  # names of image arrays; images take precedence over statistics
MOST_COLUMNS = 20_000  # 3 GB of float64, wider than any extractor


class Statistics(NamedTuple):
    """A Gaussian fitted to features of images that are not available themselves.

    Attributes:
        mean: float64 [d].
        covariance: float64 [d, d].
        digest: hash of mean and covariance, 8 hex digits.
    """

    mean: Tensor
    covariance: Tensor
    digest: str


def read_statistics(path: Path) -> Statistics | None:
    """Returns ``mu`` and ``sigma`` of an NPZ file; None for files of images and other files.

    Raises:
        DataError: The file cannot be read, or its statistics are invalid.
    """
    if path.suffix != ".npz" or not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if not {"mu", "sigma"} <= set(arrays.files) or set(IMAGES) & set(arrays.files):
                return None
            _check_size(path)
            mean, covariance = arrays["mu"], arrays["sigma"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return _statistics(path, mean, covariance)


def check_width(statistics: Statistics, key: str, extractor: FeatureExtractor) -> None:
    """Raises ConfigError if statistics have not as many features as the extractor."""
    if len(statistics.mean) != extractor.num_features:
        raise ConfigError(
            f"{key}=...: its statistics have {len(statistics.mean)} features, and "
            f"features={extractor.name} has {extractor.num_features}. Use the features= that they "
            "were computed with"
        )


def _check_size(path: Path) -> None:
    # The declared size, before decompression: a small file can expand to fill the memory.
    with zipfile.ZipFile(path) as archive:
        declared = sum(archive.getinfo(f"{name}.npy").file_size for name in ("mu", "sigma"))
    if declared > 8 * (MOST_COLUMNS + 1) * MOST_COLUMNS:
        raise ValueError(f"it declares {declared / 2**30:.0f} GiB")


def _statistics(path: Path, mean: object, covariance: object) -> Statistics:
    arrays = [np.asarray(one) for one in (mean, covariance)]
    shapes = [one.shape for one in arrays]
    width = shapes[0][0] if len(shapes[0]) == 1 else -1
    if width < 1 or shapes[1] != (width, width) or any(one.dtype.kind != "f" for one in arrays):
        raise DataError(
            f"{path}: mu is {arrays[0].dtype} {list(shapes[0])} and sigma {arrays[1].dtype} "
            f"{list(shapes[1])}; they must be floating-point [d] and [d, d]"
        )
    mu, sigma = (torch.from_numpy(one.astype(np.float64)) for one in arrays)
    if not bool(mu.isfinite().all() and sigma.isfinite().all()):
        raise DataError(f"{path}: mu or sigma is not finite (NaN or infinite)")
    if not torch.allclose(sigma, sigma.T, rtol=1e-3, atol=1e-6 * float(sigma.abs().max())):
        raise DataError(f"{path}: sigma is not symmetric, so it is not a covariance")
    digest = hashlib.sha256(mu.numpy().tobytes() + sigma.numpy().tobytes()).hexdigest()[:8]
    return Statistics(mu, (sigma + sigma.T) / 2, digest)
