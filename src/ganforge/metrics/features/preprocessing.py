from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import to_rgb

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
        pixels = to_rgb(images) if self.rgb else images
        return (resized(pixels, self.size, self.resize) / 255 - self.mean) / self.std

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the settings that decide whether two values are comparable."""
        numbers = [*self.mean.flatten().tolist(), *self.std.flatten().tolist()]
        return {
            "resize": resize_name(self.resize, self.size),
            "shown_as": "rgb" if self.rgb else "is",
            "normalization": " ".join(f"{number:.4g}" for number in numbers),
        }


Resize = Literal["legacy", "clean", "none"]


def resized(images: Tensor, size: int, resize: Resize) -> Tensor:
    """Returns float32 images [B, C, size, size] in 0 ... 255, not rounded.

    The choice of filter can change a FID by more than many papers improve it (Parmar et al. 2022,
    arXiv:2104.11222), so it is part of a result's protocol.

    Args:
        images: [B, C, H, W], uint8 or float in 0 ... 255.
        size: side of the result.
        resize: "legacy" is TensorFlow 1's bilinear filter, as in all FID published before 2021. It
            interpolates four pixels at any scale and therefore aliases. "clean" is Pillow's bicubic
            filter with antialiasing. "none" does not resize.
    """
    images = images.float()
    if resize == "none":
        return images
    if resize == "legacy":
        # Imports torchvision, which no other filter needs.
        from torch_fidelity.interpolate_compat_tensorflow import (
            interpolate_bilinear_2d_like_tensorflow1x as tensorflow_bilinear,
        )

        scaled: Tensor = tensorflow_bilinear(images, size=(size, size), align_corners=False)
        return scaled
    return clean(images, size)


def clean(images: Tensor, size: int) -> Tensor:
    """Returns float32 [B, C, size, size] in 0 ... 255, with Pillow's antialiased bicubic filter.

    Computed in floating point and clamped, as in clean-fid (arXiv:2104.11222); a uint8 result would
    be rounded a second time.

    Args:
        images: float32 [B, C, H, W] in 0 ... 255.
        size: side of the result.
    """
    if images.shape[-2:] == (size, size):
        return images
    # Not all Metal versions support antialiased resizing.
    near = images.cpu() if images.device.type == "mps" else images
    scaled = F.interpolate(
        near, (size, size), mode="bicubic", align_corners=False, antialias=True
    ).clamp(0, 255)
    return scaled.to(images.device)


def resize_name(resize: Resize, size: int) -> str:
    """Returns the name of a resizing in a result's protocol."""
    names = {"legacy": "bilinear-tensorflow1", "clean": "bicubic-antialias"}
    return f"{names[resize]}-{size}" if resize in names else "none"


def check_resize(resize: str, legal: tuple[str, ...] = get_args(Resize)) -> None:
    """Raises ConfigError if ``resize`` is not one of an extractor's options."""
    if resize not in legal:
        raise ConfigError(f"features.resize must be one of {', '.join(legal)}; got {resize!r}")
