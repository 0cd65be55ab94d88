from __future__ import annotations

import logging
import time
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from ganforge.data.images import to_float, to_uint8
from ganforge.errors import ConfigError
from ganforge.networks.contract import contract_of
from ganforge.translate.memory import (
    PROBE,
    bytes_per_pixel,
    free_bytes,
    is_out_of_memory,
    largest_side,
)
from ganforge.translate.tiling import CropTranslation, count_tiles, padded_side, translate_any

LONG = 60.0  # the estimated time is logged for images that take longer, in seconds

_log = logging.getLogger(__name__)


class Game(Protocol):
    """Interface of a trained translation model, implemented in models/translation.py."""

    directions: tuple[str, ...]
    device: torch.device

    def translator(self, direction: str | None = None, weights: str = "ema") -> nn.Module:
        """Returns the network of a direction."""
        ...

    def translate(
        self,
        inputs: Tensor,
        direction: str | None = None,
        weights: str = "ema",
        seed: int = 0,
        start: int = 0,
    ) -> Tensor:
        """Returns [n, C', H, W] in [-1, 1] from [n, C, H, W] in [-1, 1]."""
        ...


class ImageTranslator:
    """Translates images of any size, one at a time: whole if memory allows, else in tiles.

    A result depends only on the image and the seed, not on other images.

    A tile only sees its part of the image. Normalization over the image, and dropout, make tiles
    look different, and blending in the overlap only hides the seams. Images are therefore only
    split if necessary.

    Args:
        model: the trained model, on its device.
        direction: one of the model's directions.
        weights: "ema" or "raw".
        seed: seed of networks with random layers, such as dropout.
        tile: side of the tiles of larger images; None chooses it by the free memory.
        overlap: overlap of neighboring tiles in pixels; None for a quarter of a tile.
    """

    def __init__(
        self,
        model: Game,
        direction: str,
        weights: str = "ema",
        seed: int = 0,
        tile: int | None = None,
        overlap: int | None = None,
    ) -> None:
        network = model.translator(direction, weights)
        self.channels = cast(int, network.in_channels)
        self.multiple = cast(int, network.multiple)
        self.smallest = contract_of(network).smallest
        _check(tile, overlap, self.multiple, self._padded(1))
        self.model = model
        self.direction = direction
        self.weights = weights
        self.seed = seed
        self.tile = tile
        self.overlap = overlap
        self._network = network
        self._bytes: float | None = None

    def __call__(self, image: Tensor, name: str = "") -> Tensor:
        """Translates an image.

        Args:
            image: uint8 [C, H, W], with the network's number of channels.
            name: name of the image in log messages.

        Returns:
            uint8 [C', H, W] on the CPU.

        Raises:
            MemoryError: the smallest tile, or the given one, is too large.
        """
        tile = self._side(image) if self.tile is None else self.tile
        while True:
            if self.tile is None and tile is not None:
                _log.info("%s: in tiles of %d, limited by memory (tile=N sets them)", name, tile)
            try:
                return self._translated(image, tile, name)
            except (RuntimeError, MemoryError) as error:
                smaller = self._smaller(image, tile)
                if not is_out_of_memory(error):
                    raise
                if self.tile is not None or smaller == tile:
                    raise MemoryError(
                        f"too large for the free memory, even in tiles of {tile} pixels"
                    ) from error
            # Outside of the except block, the traceback no longer keeps the failed tensors alive.
            tile = smaller
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _translated(self, image: Tensor, tile: int | None, name: str) -> Tensor:
        overlap = 0 if tile is None else tile // 4 if self.overlap is None else self.overlap
        crop: CropTranslation = self._crop
        if tile is not None:
            height, width = (self._padded(side) for side in image.shape[1:])
            count = count_tiles(height, width, self.multiple, tile, overlap)
            crop = log_duration(crop, count, f"{name}: {width} x {height}")
        return translate_any(
            image, crop, self.multiple, tile, overlap, self.smallest, finish=to_uint8
        )

    def _crop(self, crop: Tensor, index: int) -> Tensor:
        batch = to_float(crop[None]).contiguous()
        outputs = self.model.translate(batch, self.direction, self.weights, self.seed, index)
        return outputs[0].float().cpu()

    def _side(self, image: Tensor) -> int | None:
        """Returns the side of tiles that fit in memory; None if the whole image fits."""
        if self._bytes is None:
            self._bytes = bytes_per_pixel(self._network, self.channels, self._padded(PROBE))
        height, width = (self._padded(side) for side in image.shape[1:])
        free = free_bytes(self.model.device)
        side = largest_side(height, width, self.multiple, self._bytes, free)
        return None if side is None else max(side, self._least())

    def _smaller(self, image: Tensor, tile: int | None) -> int:
        """Returns half of the side, rounded to a legal one, or the smallest legal side."""
        whole = self._padded(max(image.shape[1:])) if tile is None else tile
        return max(whole // 2 // self.multiple * self.multiple, self._least())

    def _least(self) -> int:
        return self._padded(2 * (self.overlap or 0))

    def _padded(self, side: int) -> int:
        return padded_side(side, self.multiple, self.smallest)


def log_duration(crop: CropTranslation, count: int, what: str) -> CropTranslation:
    """Returns ``crop``, wrapped so that the first call logs the estimated time if it is long."""
    began = time.monotonic()

    def measured(image: Tensor, index: int) -> Tensor:
        output = crop(image, index)
        seconds = (time.monotonic() - began) / (index + 1) * count
        if index == 0 and seconds > LONG:
            _log.info("%s pixels, %d tiles: about %.0f min", what, count, seconds / 60)
        return output

    return measured


def _check(tile: int | None, overlap: int | None, multiple: int, smallest: int) -> None:
    if tile is not None and (tile < smallest or tile % multiple):
        low = max(tile // multiple * multiple, smallest)
        raise ConfigError(
            f"tile must be a multiple of {multiple}, at least {smallest}, for this run's network, "
            f"or null; got {tile}. Use {low} or {low + multiple}"
        )
    if overlap is None:
        return
    if overlap < 0 or (tile is not None and 2 * overlap > tile):
        most = "" if tile is None else f" and at most {tile // 2}, half a tile"
        raise ConfigError(f"overlap must be at least 0{most}; got {overlap}")
