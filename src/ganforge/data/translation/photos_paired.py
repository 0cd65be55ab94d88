from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.data.images import with_channels
from ganforge.data.source import ImageSource
from ganforge.data.translation.photos import NAMES, PhotoData, PhotoSettings, photo, window_sources
from ganforge.errors import ConfigError

TASKS = ("edges", "grey")
_GAIN = 0.5  # with this gain, an edge of half the value range is drawn in black


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
