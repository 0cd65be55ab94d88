"""Windows of the two photographs that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ganforge.data.files.bundled import photograph
from ganforge.data.images import with_channels
from ganforge.data.source import ImageSource, hash_of
from ganforge.data.translation.crops import windows
from ganforge.data.translation.module import DomainSettings, TargetSettings, TranslationData
from ganforge.errors import ConfigError

NAMES = ("china", "flower")
STEPS = 16  # the stride of held-out windows is 1/16 of their side
GAP = 8  # unused columns between training and held-out columns
TASKS = ("edges", "grey")
_GAIN = 0.5  # with this gain, an edge of half the value range is drawn in black


class PhotoSettings(TargetSettings, total=False):
    """Keyword arguments that windows of photographs pass to PhotoData."""

    image_size: int
    scale: float
    holdout: float
    workers: int


class UnpairedPhotoSettings(PhotoSettings, total=False):
    """PhotoSettings, and ``input_channels``."""

    input_channels: int


class PhotoData(TranslationData):
    """Base class of windows of the two photographs, 427x640 RGB; some columns are held out.

    An epoch shows every window of the other columns once.

    Args:
        name: name of the data set in runs and tables.
        image_size: side of the windows.
        scale: factor for the sides of the photographs; with a smaller one, windows show more.
        holdout: held-out share of each half of the width, on its right.
        workers: loader processes; 0 is fastest.
        **settings: see :class:`ganforge.data.TranslationData`; channels are 1 or 3.
    """

    def __init__(
        self,
        name: str,
        image_size: int = 64,
        *,
        scale: float = 0.5,
        holdout: float = 0.425,
        workers: int = 0,
        **settings: Unpack[DomainSettings],
    ) -> None:
        super().__init__(name, image_size, image_size, workers=workers, **settings)
        if not 0 < scale <= 1:
            raise ConfigError(f"scale must be above 0 and at most 1, got {scale}")
        if not 0 < holdout <= 0.8:
            raise ConfigError(f"holdout must be above 0 and at most 0.8, got {holdout}")
        channels = (self.input_channels, self.channels)
        if set(channels) - {1, 3}:
            raise ConfigError(f"photos need channels and input_channels of 1 or 3, got {channels}")
        self.scale = scale
        self.holdout = holdout


class WindowSource(ImageSource):
    """Windows of photographs, cropped on read.

    Args:
        photos: uint8 [P, C, H, W].
        origins: int64 [N, 3], photograph, top and left of each window.
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

    def contents(self) -> str:
        """Returns a hash of the photographs and of the windows' origins and size."""
        return hash_of(self.photos, self.origins, str(self.size))


def window_sources(photos: Tensor, holdout: float, size: int) -> dict[str, ImageSource]:
    """Returns all windows of the training columns, and held-out windows on a fixed grid.

    In each half of the width, the columns on the right are held out: one side of the temple and of
    the blossom, and part of their surroundings. The training columns show similar content, so that
    translation can be learnt from them. Some columns between the parts are in neither, because
    filters extend over the border. An epoch shows every training window once, in an order that the
    seed determines.

    Args:
        photos: uint8 [P, C, H, W].
        holdout: held-out share of each half of the width.
        size: side of the windows.

    Returns:
        The sources ``train`` and ``test``.

    Raises:
        ConfigError: ``size`` is too large for one of the parts.
    """
    height, width = photos.shape[-2:]
    sources: dict[str, ImageSource] = {}
    for split, step in (("train", 1), ("test", max(size // STEPS, 1))):
        parts = columns(width, holdout)[split]
        lefts = [left for part in parts for left in range(part.start, part.stop - size + 1, step)]
        tops = range(0, height - size + 1, step)
        if not tops or not lefts:
            raise ConfigError(
                f"image_size={size} does not fit into the {split} part of the photographs, "
                f"{height} rows and {' and '.join(str(len(part)) for part in parts)} columns"
            )
        sources[split] = WindowSource(photos, grid(photos, tops, lefts), size)
    return sources


def columns(width: int, holdout: float) -> dict[str, list[range]]:
    """Returns the columns of ``train`` and ``test``: for each, one range per half of the width."""
    half = width // 2
    begin = round(half * (1 - holdout))
    return {
        "train": [range(begin - GAP), range(half + GAP, half + begin - GAP)],
        "test": [range(begin, half), range(half + begin, 2 * half)],
    }


def grid(photos: Tensor, tops: Iterable[int], lefts: Iterable[int]) -> Tensor:
    """Returns int64 [N, 3]: photograph, top and left of each window on the grid."""
    return torch.cartesian_prod(
        torch.arange(len(photos)), torch.tensor([*tops]), torch.tensor([*lefts])
    )


def photo(name: str, scale: float) -> Tensor:
    """Returns a photograph, uint8 [1, 3, H, W].

    Args:
        name: "china" or "flower", 427x640.
        scale: factor for the sides, above 0 and at most 1.
    """
    image = Image.fromarray(photograph(name))
    size = (round(image.width * scale), round(image.height * scale))
    scaled = np.array(image.resize(size, Image.Resampling.BICUBIC) if scale != 1 else image)
    return torch.from_numpy(scaled).permute(2, 0, 1).unsqueeze(0).contiguous()


class PairedPhotos(PhotoData):
    """Windows of two photographs: A edges or gray images, B the photographs; no download.

    The photographs, a temple and a flower, come with scikit-learn.

    Args:
        photos: list of china, flower or both. With both, colors can be ambiguous where there are
            few edges.
        task: "edges" to translate edge drawings, dark lines on white; "grey" to add colors.
        name: name of the data set in runs and tables.
        input_channels: channels of the inputs: 1 gray, 3 RGB.
        **settings: see :class:`ganforge.data.PhotoData`.
    """

    gives = frozenset({"inputs", "pairs"})

    def __init__(
        self,
        photos: list[str] | None = None,
        task: str = "edges",
        name: str = "photos_paired",
        *,
        input_channels: int = 1,
        **settings: Unpack[PhotoSettings],
    ) -> None:
        super().__init__(name, input_channels=input_channels, **settings)
        if task not in TASKS:
            raise ConfigError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
        self.photos = list(NAMES) if photos is None else photos
        if not self.photos or set(self.photos) - set(NAMES):
            raise ConfigError(f"photos must be a list of {', '.join(NAMES)}, got {photos}")
        self.task = task

    def load(self) -> dict[str, ImageSource]:
        """Returns both splits."""
        photos = torch.cat([photo(name, self.scale) for name in self.photos])
        return window_sources(self._pairs(photos), self.holdout, self.image_size)

    def _pairs(self, photos: Tensor) -> Tensor:
        """Returns input and target channels of whole photographs, [P, C, H, W].

        Edges are computed before windows are cropped, so that windows have no border artefacts.
        """
        drawn = edges(photos) if self.task == "edges" else with_channels(photos, 1)
        sides = {"A": drawn, "B": photos}
        return torch.cat(
            [with_channels(sides[letter], self.channels_of(letter)) for letter in self.letters], 1
        )


def edges(images: Tensor) -> Tensor:
    """Returns edge drawings of images, dark lines on white: uint8 [N, 1, H, W].

    The darkness is proportional to the gradient magnitude of the luma (Sobel and Feldman 1968).
    Gradients are computed in integers, so that drawings are the same on every machine.

    Args:
        images: uint8 [N, 1 or 3, H, W].
    """
    luma = with_channels(images, 1).float()
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate").to(torch.int32)
    across = _smoothed(padded[..., 2:] - padded[..., :-2], 2)
    down = _smoothed(padded[..., 2:, :] - padded[..., :-2, :], 3)
    length = (across.double().square() + down.double().square()).sqrt()
    return (255 - _GAIN * length).clamp(0, 255).round().to(torch.uint8)


def _smoothed(differences: Tensor, dim: int) -> Tensor:
    """Returns the (1, 2, 1)-weighted sum along a dimension, which becomes shorter by 2."""
    size = differences.shape[dim]
    before, middle, after = (differences.narrow(dim, start, size - 2) for start in range(3))
    return before + 2 * middle + after


class UnpairedPhotos(PhotoData):
    """Windows of two photographs: A of a temple, B of a flower; no download.

    The photographs come with scikit-learn.

    Args:
        name: name of the data set in runs and tables.
        **settings: see :class:`ganforge.data.PhotoData`.
    """

    def __init__(
        self, name: str = "photos_unpaired", **settings: Unpack[UnpairedPhotoSettings]
    ) -> None:
        super().__init__(name, **settings)

    def load_domain(self, letter: str) -> dict[str, ImageSource]:
        """Returns the splits of domain "A" or "B"."""
        name = NAMES["AB".index(letter)]
        whole = with_channels(photo(name, self.scale), self.channels_of(letter))
        return window_sources(whole, self.holdout, self.image_size)
