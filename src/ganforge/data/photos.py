"""The two photographs that come with scikit-learn, and windows of them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganforge.data.crops import windows
from ganforge.data.source import ImageSource
from ganforge.errors import ConfigError

NAMES = ("china", "flower")
STEPS = 16  # a held-out window begins every 16th of its side


class WindowSource(ImageSource):
    """Windows of photographs, cut out when they are read.

    Args:
        photos: uint8 [P, C, H, W].
        origins: int64 [N, 3], the photograph, top and left of each window.
        size: side of the windows.
    """

    labels: Tensor | None = None

    def __init__(self, photos: Tensor, origins: Tensor, size: int) -> None:
        self.photos = photos
        self.origins = origins
        self.size = size
        self.shape = (photos.shape[1], size, size)

    def __len__(self) -> int:
        return len(self.origins)

    def read(self, indices: Tensor) -> Tensor:
        """Returns uint8 [B, C, size, size]."""
        which, tops, lefts = self.origins[indices].unbind(1)
        return windows(self.photos, tops, lefts, self.size, which)

    def subset(self, indices: Tensor) -> WindowSource:
        """Returns the windows at ``indices``; the photographs are shared."""
        return WindowSource(self.photos, self.origins[indices], self.size)


def grid(photos: Tensor, size: int, step: int) -> Tensor:
    """Returns int64 [N, 3]: photograph, top and left of windows at every ``step`` pixels."""
    count, _, height, width = photos.shape
    return torch.cartesian_prod(
        torch.arange(count),
        torch.arange(0, height - size + 1, step),
        torch.arange(0, width - size + 1, step),
    )


def window_sources(parts: dict[str, Tensor], size: int) -> dict[str, ImageSource]:
    """Returns all windows of the training part, and those of the test part at a fixed grid.

    An epoch thus shows every window of the training part once, in an order that the seed decides.

    Args:
        parts: ``train`` and ``test``, uint8 [P, C, H, W].
        size: side of the windows.
    """
    steps = {"train": 1, "test": max(size // STEPS, 1)}
    return {
        split: WindowSource(photos, grid(photos, size, steps[split]), size)
        for split, photos in parts.items()
    }


def photo_parts(name: str, scale: float, holdout: float, size: int) -> dict[str, Tensor]:
    """Returns the upper part of a photograph to train on, and the lower part, held out.

    Both have their share of the temple and of the blossoms, which left and right would not. The
    photograph is cut before it is scaled, so that no pixel of one part knows of the other.

    Args:
        name: "china" or "flower", 427x640.
        scale: of the sides, above 0 and at most 1.
        holdout: share of the height that is held out.
        size: side of the windows that must fit into both parts.

    Returns:
        ``train`` and ``test``, uint8 [1, 3, H, W].
    """
    from sklearn.datasets import load_sample_image

    pixels = np.array(load_sample_image(f"{name}.jpg"))
    border = round(len(pixels) * (1 - holdout))
    parts = {"train": pixels[:border], "test": pixels[border:]}
    scaled = {split: _scaled(part, scale) for split, part in parts.items()}
    for split, part in scaled.items():
        if size > min(part.shape[-2:]):
            height, width = part.shape[-2:]
            raise ConfigError(
                f"image_size={size} does not fit into the {split} part of the photographs, "
                f"{height}x{width} with scale={scale} and holdout={holdout}"
            )
    return scaled


def check_photos(scale: float, holdout: float, *channels: int) -> None:
    """Raises ConfigError for arguments that no photograph can be made with."""
    if not 0 < scale <= 1:
        raise ConfigError(f"scale must be above 0 and at most 1, got {scale}")
    if not 0 < holdout < 1:
        raise ConfigError(f"holdout must be above 0 and below 1, got {holdout}")
    if set(channels) - {1, 3}:
        raise ConfigError(f"channels and input_channels must be 1 or 3 of photos, got {channels}")


def _scaled(pixels: NDArray[np.uint8], scale: float) -> Tensor:
    image = Image.fromarray(pixels)
    size = (round(image.width * scale), round(image.height * scale))
    scaled = np.array(image.resize(size, Image.Resampling.BICUBIC) if scale != 1 else image)
    return torch.from_numpy(scaled).permute(2, 0, 1).unsqueeze(0).contiguous()
