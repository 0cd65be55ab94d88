from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional as F
from torch_fidelity.interpolate_compat_tensorflow import (
    interpolate_bilinear_2d_like_tensorflow1x as tensorflow_bilinear,
)

from ganforge.errors import ConfigError

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
