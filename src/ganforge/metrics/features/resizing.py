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

    Which filter makes images small decides more of a FID than many a paper gains (Parmar et al.
    2022, arXiv:2104.11222), so it is part of a result's protocol.

    Args:
        images: [B, C, H, W], uint8 or float in 0 ... 255.
        size: side of the result.
        resize: "legacy" is TensorFlow 1's bilinear filter, as in all published FID before 2021: it
            looks at four pixels however small the result is, and aliases. "clean" is Pillow's
            bicubic filter, which averages over what it leaves out. "none" leaves them as they are.
    """
    images = images.float()
    if resize == "none":
        return images
    if resize == "legacy":
        scaled: Tensor = tensorflow_bilinear(images, size=(size, size), align_corners=False)
        return scaled
    return clean(images, size)


def clean(images: Tensor, size: int) -> Tensor:
    """Returns float32 [B, C, size, size] in 0 ... 255 by Pillow's antialiased bicubic filter.

    In floating point and clamped, as clean-fid does (arXiv:2104.11222): bytes would be rounded
    twice.

    Args:
        images: float32 [B, C, H, W] in 0 ... 255.
        size: side of the result.
    """
    if images.shape[-2:] == (size, size):
        return images
    # Antialiased resizing is not on every Metal version.
    near = images.cpu() if images.device.type == "mps" else images
    scaled = F.interpolate(
        near, (size, size), mode="bicubic", align_corners=False, antialias=True
    ).clamp(0, 255)
    return scaled.to(images.device)


def resize_name(resize: Resize, size: int) -> str:
    """Returns what a result's protocol calls a resizing."""
    names = {"legacy": "bilinear-tensorflow1", "clean": "bicubic-antialias"}
    return f"{names[resize]}-{size}" if resize in names else "none"


def check_resize(resize: str, legal: tuple[str, ...] = get_args(Resize)) -> None:
    """Refuses a resizing that is not one of those that an extractor has."""
    if resize not in legal:
        raise ConfigError(f"features.resize must be one of {', '.join(legal)}; got {resize!r}")
