from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

# Maps a crop [C, h, w], and its index among the crops of an image, to [C', h, w].
CropTranslation = Callable[[Tensor, int], Tensor]
# Elementwise function of finished pixels, such as a conversion to uint8, a quarter of the memory.
Finish = Callable[[Tensor], Tensor]


def _unchanged(pixels: Tensor) -> Tensor:
    return pixels


def translate_any(
    image: Tensor,
    translate: CropTranslation,
    multiple: int,
    tile: int | None = None,
    overlap: int = 0,
    smallest: int = 1,
    finish: Finish = _unchanged,
) -> Tensor:
    """Returns the translation of an image of any size, for a network with constraints on sizes.

    The image is padded by reflection on all sides, and the result is cropped to the original size.

    Args:
        image: [C, H, W], H and W at least 1.
        translate: maps [C, h, w] and its index to [C', h, w]; both sides are multiples of
            ``multiple``.
        multiple: number that the network's sides must be multiples of.
        tile: side of the largest square that is translated at once, a multiple of ``multiple``;
            None for the whole image.
        overlap: minimum overlap of neighboring tiles in pixels, at most half a tile.
        smallest: smallest side that the network accepts, at most ``tile``.
        finish: elementwise function of finished pixels.

    Returns:
        [C', H, W].
    """
    height, width = image.shape[1:]
    padded = pad_to_multiple(image, multiple, smallest)
    if tile is None or tile >= max(padded.shape[1:]):
        output = finish(translate(padded, 0))
    else:
        output = _in_tiles(padded, translate, multiple, tile, overlap, finish)
    top, left = (padded.shape[1] - height) // 2, (padded.shape[2] - width) // 2
    return output[:, top : top + height, left : left + width]


def pad_to_multiple(image: Tensor, multiple: int, smallest: int = 1) -> Tensor:
    """Returns the image centered in [C, H', W'], whose sides are the next multiples of a number.

    The border is the image reflected at its outermost pixels, several times if the border is wider
    than the image. An image one pixel wide is repeated.

    Args:
        image: [C, H, W].
        multiple: H' and W' are multiples of this number.
        smallest: minimum of H' and W'.
    """
    for axis in (1, 2):
        size = image.shape[axis]
        total = padded_side(size, multiple, smallest)
        if total != size:
            image = image.index_select(axis, _reflected(size, total))
    return image


def padded_side(size: int, multiple: int, smallest: int = 1) -> int:
    """Returns the smallest multiple of ``multiple`` that is at least ``size`` and ``smallest``."""
    return -(-max(size, smallest) // multiple) * multiple


def _reflected(size: int, total: int) -> Tensor:
    """Returns the source index of each pixel of a padded axis, int64 [total], below ``size``."""
    positions = torch.arange(total) - (total - size) // 2
    last = size - 1
    return last - (positions % max(2 * last, 1) - last).abs()


def count_tiles(height: int, width: int, multiple: int, tile: int, overlap: int) -> int:
    """Returns the number of tiles that cover a padded image."""
    sides = ((length, min(tile, length)) for length in (height, width))
    rows, columns = (len(starts(length, side, overlap, multiple)) for length, side in sides)
    return rows * columns


def _in_tiles(
    image: Tensor,
    translate: CropTranslation,
    multiple: int,
    tile: int,
    overlap: int,
    finish: Finish,
) -> Tensor:
    """Returns [C', H, W], assembled on the CPU so that the device holds one tile at a time.

    Floating-point values are kept for one row of tiles only, not for the whole image.
    """
    height, width = image.shape[1:]
    h, w = min(tile, height), min(tile, width)
    tops, lefts = starts(height, h, overlap, multiple), starts(width, w, overlap, multiple)
    columns = list(zip(lefts, blend_weights(lefts, w), strict=True))
    band, result, index = torch.zeros(0), torch.zeros(0), 0
    for top, end, down in zip(tops, [*tops[1:], height], blend_weights(tops, h), strict=True):
        for left, across in columns:
            output = translate(image[:, top : top + h, left : left + w], index).float().cpu()
            if index == 0:
                band = torch.zeros(len(output), h, width)
            band[:, :, left : left + w] += output * (down[:, None] * across)
            index += 1
        done = finish(band[:, : end - top])
        if top == 0:
            result = torch.empty(len(done), height, width, dtype=done.dtype)
        result[:, top:end] = done
        band = torch.cat([band[:, end - top :], torch.zeros(len(band), end - top, width)], dim=1)
    return result


def starts(length: int, side: int, overlap: int, multiple: int) -> list[int]:
    """Returns the start positions of the tiles that cover an axis; the last tile ends with it.

    If tiles are long enough, they start at multiples of ``multiple``: a network with strides is
    only equivariant to shifts by such steps.

    Args:
        length: length of the axis, a multiple of ``multiple``.
        side: side of each tile, a multiple of ``multiple``, at most ``length``.
        overlap: minimum overlap of neighbors in pixels, below ``side``.
        multiple: see above.
    """
    if side >= length:
        return [0]
    stride = (side - overlap) // multiple * multiple or side - overlap
    return [*range(0, length - side, stride), length - side]


def blend_weights(starts: list[int], side: int) -> list[Tensor]:
    """Returns the weights of each tile along one axis, [side] each; at each pixel they sum to 1.

    In the overlap of two tiles, each has weight 0 in its outer quarter, where it lacks context, and
    the weights change smoothly in between.

    Args:
        starts: start positions of the tiles, ascending, without gaps between tiles.
        side: length of each tile.
    """
    centres = torch.arange(side, dtype=torch.float64) + 0.5
    shares = [torch.ones_like(centres) for _ in starts]
    for i, (before, after) in enumerate(itertools.pairwise(starts)):
        common = before + side - after
        if common > 0:
            shares[i] *= _rise((side - centres) / common)
            shares[i + 1] *= _rise(centres / common)
    # More than two tiles can overlap, because the last one is moved back to end with the image.
    total = torch.zeros(starts[-1] + side, dtype=torch.float64)
    for start, share in zip(starts, shares, strict=True):
        total[start : start + side] += share
    pairs = zip(starts, shares, strict=True)
    return [(share / total[start : start + side]).float() for start, share in pairs]


def _rise(position: Tensor) -> Tensor:
    """Returns a smooth step: 0 up to 1/4, 1 from 3/4 on, with f(t) + f(1 - t) = 1."""
    t = ((position - 0.25) * 2).clamp(0, 1)
    return t * t * (3 - 2 * t)
