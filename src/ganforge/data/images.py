"""Images as tensors: conversion between uint8 and float, resizing, padding and channels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.errors import ConfigError

_CHUNK = 4096
_FEW_LEVELS = 32  # fewer gray levels suggest a mask or a wrong value range


def to_float(images: Tensor) -> Tensor:
    """Returns float images in [-1, 1]: ``x / 127.5 - 1`` for uint8, other dtypes unchanged.

    Args:
        images: [B, C, H, W], uint8 in 0..255 or float in [-1, 1].
    """
    if images.dtype != torch.uint8:
        return images
    return images.float().div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Returns uint8 images in 0..255, the inverse of :func:`to_float`; values outside are clamped.

    Args:
        images: [B, C, H, W], float in [-1, 1] or uint8.
    """
    if images.dtype == torch.uint8:
        return images
    return images.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)


def resize(images: Tensor, size: int) -> Tensor:
    """Returns uint8 [N, C, size, size], resized with an antialiased bicubic filter.

    Args:
        images: [N, C, H, W], uint8 or float with values in 0..255.
        size: side of the square result.
    """
    if images.shape[-2:] == (size, size) and images.dtype == torch.uint8:
        return images
    # In chunks: a float copy of the whole data set would take four times its memory.
    return torch.cat([_resize(chunk, size) for chunk in torch.split(images, _CHUNK)])


def _resize(images: Tensor, size: int) -> Tensor:
    scaled = F.interpolate(
        images.float(), (size, size), mode="bicubic", align_corners=False, antialias=True
    )
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def pad_to(images: Tensor, size: int) -> Tensor:
    """Returns [N, C, size, size]: square images with a black border around them."""
    border = size - images.shape[-1]
    before, after = border // 2, border - border // 2
    return F.pad(images, (before, after, before, after))


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Returns uint8 [N, channels, H, W]: gray repeated to RGB, or RGB converted to luma.

    Args:
        images: uint8 [N, 1 or 3, H, W].
        channels: 1 or 3; equal channels return the images unchanged.
    """
    present = images.shape[1]
    if channels == present:
        return images
    if (present, channels) == (1, 3):
        return images.expand(-1, 3, -1, -1).contiguous()
    if (present, channels) == (3, 1):
        return torch.cat([_luma(chunk) for chunk in torch.split(images, _CHUNK)])
    raise ConfigError(f"channels must be 1 or 3 for images of {present} channels, got {channels}")


def _luma(images: Tensor) -> Tensor:
    """Returns the ITU-R BT.601 luma, the gray conversion of common image libraries."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (images.float() * weights).sum(1, keepdim=True).round_().to(torch.uint8)


def fault_of(images: Tensor) -> str | None:
    """Returns what is suspicious about training images; None if nothing is.

    Args:
        images: uint8 [N, C, H, W].
    """
    seen = torch.zeros(256, dtype=torch.bool)
    for image in images:
        seen[image.flatten().long()] = True
    levels = seen.nonzero().flatten().tolist()
    if len(levels) == 1:
        return f"every pixel of them is {levels[0]}"
    if len(images) > 1 and bool((images == images[:1]).all()):
        return "they are all the same image"
    if len(levels) < _FEW_LEVELS:
        return f"they have {len(levels)} levels, from {levels[0]} to {levels[-1]} of 0 to 255"
    return None
