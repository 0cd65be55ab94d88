from __future__ import annotations

from typing import Unpack, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor

from ganforge.callbacks.checks import check_translates
from ganforge.callbacks.pictures.grid import picture
from ganforge.callbacks.samples import Samples, SampleSettings
from ganforge.data.images import to_float, to_uint8
from ganforge.metrics.pairs.direction import Direction, TranslationSource, directions_of
from ganforge.metrics.pairs.evaluate import Translates
from ganforge.metrics.pairs.held_out import split_of

GAP = 8  # pixels between the two halves of a grid


class TranslationSamples(Samples):
    """Saves grids of translations of fixed held-out images during training.

    A model with one direction has the columns input, output and target (no target for unpaired
    data), in two blocks next to each other. A model with two directions has real A, fake B and
    reconstructed A on the left, and B, fake A and reconstructed B on the right. Training images are
    used if there are no held-out images.

    Writes ``samples/reals.png`` (inputs and targets), ``samples/step_0001000.png`` ... and
    ``samples/training.gif``, and passes every grid to the loggers that accept images.

    Args:
        every_n_steps: generator updates between grids; the last step always has a grid.
        count: maximum number of held-out images, or pairs of images.
        **settings: arguments of Samples; ``seed`` is for networks that sample noise.
    """

    caption = "input | output | target, or real A | fake B | back to A and its mirror"

    def __init__(
        self, every_n_steps: int, count: int = 8, **settings: Unpack[SampleSettings]
    ) -> None:
        super().__init__(every_n_steps, count, **settings)

    def check(self, model: object, data: object) -> None:
        """Raises ConfigError if model and data have no two domains."""
        check_translates(model, data, "saves")

    def drawn(self, trainer: Trainer, pl_module: LightningModule) -> Image.Image:
        """Returns a grid of held-out images, translations, and targets or reconstructions."""
        model, data = cast(Translates, pl_module), _data(trainer)
        directions = directions_of(data, model.directions)
        blocks = [
            self._translated(model, direction, split_of(data, "test")) for direction in directions
        ]
        return side_by_side(*(blocks if len(blocks) > 1 else halved(blocks[0])))

    def drawn_reals(self, trainer: Trainer, pl_module: LightningModule) -> Image.Image:
        """Returns a grid of held-out inputs and images of the target domain."""
        data = _data(trainer)
        split = split_of(data, "test")
        columns = [data.domain(role).reals(self.count, split)[0] for role in ("input", "target")]
        return side_by_side(*halved(columns))

    def _translated(self, model: Translates, direction: Direction, split: str) -> list[Tensor]:
        """Returns the columns of one direction: uint8 [n, C, H, W] each."""
        inputs = direction.source.reals(self.count, split)[0]
        fakes = model.translate(to_float(inputs), direction.name, self.weights, self.seed)
        columns = [inputs, to_uint8(fakes).cpu()]
        if direction.back is not None:
            cycled = model.translate(fakes, direction.back, self.weights, self.seed)
            columns.append(to_uint8(cycled).cpu())
        elif direction.paired:
            columns.append(direction.target.reals(self.count, split)[0])
        return columns


def halved(columns: list[Tensor]) -> list[list[Tensor]]:
    """Returns the upper and the lower half of a block, to be shown side by side.

    A block of one row is returned whole.

    Args:
        columns: [n, C, H, W] each; cut to the shortest one.
    """
    rows = min(len(column) for column in columns)
    middle = (rows + 1) // 2
    upper, lower = [c[:middle] for c in columns], [c[middle:rows] for c in columns]
    return [upper, lower] if rows > 1 else [upper]


def side_by_side(*blocks: list[Tensor]) -> Image.Image:
    """Returns blocks of images side by side; images in a row of a block belong together.

    Args:
        blocks: columns of uint8 images [n, C, H, W]. Gray images become RGB if others are RGB, and
            get an opaque alpha channel if others have one.
    """
    channels = {column.shape[1] for block in blocks for column in block}
    color, alpha = max(channels) > 2, not all(c % 2 for c in channels)
    halves = [
        picture(
            torch.stack([_converted(column, color, alpha) for column in block], 1).flatten(0, 1),
            columns=len(block),
        )
        for block in blocks
    ]
    width = sum(half.width for half in halves) + GAP * (len(halves) - 1)
    canvas = Image.new(halves[0].mode, (width, max(half.height for half in halves)))
    left = 0
    for half in halves:
        canvas.paste(half, (left, 0))
        left += half.width + GAP
    return canvas


def _converted(images: Tensor, color: bool, alpha: bool) -> Tensor:
    """Returns uint8 [n, C, H, W] as RGB if ``color``, with an alpha channel if ``alpha``."""
    transparent = images.shape[1] % 2 == 0
    colors, opacity = (
        (images[:, :-1], images[:, -1:])
        if transparent
        else (images, torch.full_like(images[:, :1], 255))
    )
    if color:
        colors = colors.expand(-1, 3, -1, -1)
    return torch.cat([colors, opacity], 1) if alpha else colors


def _data(trainer: Trainer) -> TranslationSource:
    return cast(TranslationSource, trainer.datamodule)  # type: ignore[attr-defined]
