from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import to_rgb
from ganforge.metrics.features.resizing import Resize, check_resize, resize_name, resized

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Preprocessing(nn.Module):
    """Resizes and normalizes images for a network: (images / 255 - mean) / std.

    Args:
        size: side to which images are resized.
        resize: the filter: "clean", "legacy", or "none" for no resizing.
        mean: mean of pixel values in [0, 1], per channel or one for all.
        std: standard deviation, per channel or one for all.
        rgb: whether to convert images to RGB, with transparency over white.
    """

    def __init__(
        self,
        size: int = 224,
        resize: Resize = "clean",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        rgb: bool = True,
    ) -> None:
        super().__init__()
        check_resize(resize)
        if size < 1:
            raise ConfigError(f"features.size must be at least 1, got {size}")
        if len(mean) != len(std) or len(mean) not in ((1, 3) if rgb else range(1, 5)):
            raise ConfigError(
                "features.mean and features.std must be lists of equal length, one number or one "
                f"for each channel; got {list(mean)} and {list(std)}"
            )
        if min(std) <= 0:
            raise ConfigError(f"features.std must be above 0, got {list(std)}")
        self.size = size
        self.resize = resize
        self.rgb = rgb
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Returns float32 [B, C, size, size] of images [B, C, H, W] in 0 ... 255."""
        shown = to_rgb(images) if self.rgb else images
        return (resized(shown, self.size, self.resize) / 255 - self.mean) / self.std

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the settings that decide whether two values are comparable."""
        numbers = [*self.mean.flatten().tolist(), *self.std.flatten().tolist()]
        return {
            "resize": resize_name(self.resize, self.size),
            "shown_as": "rgb" if self.rgb else "is",
            "normalization": " ".join(f"{number:.4g}" for number in numbers),
        }
