from __future__ import annotations

from typing import cast

import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor

from ganforge.callbacks.pictures.grid import picture
from ganforge.callbacks.samples import Samples, Weights
from ganforge.data.images import to_float, to_uint8
from ganforge.errors import ConfigError
from ganforge.metrics.pairs.direction import Direction, TranslationSource, directions_of
from ganforge.metrics.pairs.evaluate import Translates
from ganforge.metrics.pairs.held_out import split_of

GAP = 8  # pixels between the two halves of a grid


class TranslationSamples(Samples):
    """Shows what becomes of the same held-out images as training goes on.

    A game of one direction has three columns, twice beside each other: input, output, target (no
    target where data are unpaired). A game of two has real A, fake B and what comes back to A on
    the left, its mirror on the right. Training images stand in where none are held out.

    Writes ``samples/reals.png`` (inputs and targets), ``samples/step_0001000.png`` ... and
    ``samples/training.gif``, and hands every grid to the loggers that take pictures.

    Args:
        every_n_steps: generator updates between grids; the last step has one in any case.
        count: held-out images, or pairs of them, at most.
        seed: of the draws of networks that draw.
        gif: whether to make the GIF when training ends.
        weights: "ema" for the averaged generator, "raw" for the live one.
        include_start: whether there is a grid of the untrained generator.
    """

    caption = "input | output | target, or real A | fake B | back to A and its mirror"

    def __init__(
        self,
        every_n_steps: int,
        count: int = 8,
        seed: int = 0,
        gif: bool = True,
        weights: Weights = "ema",
        include_start: bool = True,
    ) -> None:
        super().__init__(every_n_steps, count, seed, gif, weights, include_start)

    def check(self, game: object, data: object) -> None:
        """Refuses games and data that translate nothing, before a run has a folder."""
        if not getattr(game, "directions", ()) or not getattr(data, "translates", False):
            raise ConfigError(
                "callbacks=translation shows translations between two domains, and this model or "
                "its data have none: take callbacks=default, or model=pix2pix or model=cyclegan "
                "on paired or unpaired data"
            )

    def drawn(self, trainer: Trainer, pl_module: LightningModule) -> Image.Image:
        """Returns held-out images, their translations, and targets or what comes back."""
        game, data = cast(Translates, pl_module), _data(trainer)
        ways = directions_of(data, game.directions)
        blocks = [self._translated(game, way, split_of(data, "test")) for way in ways]
        return side_by_side(*(blocks if len(blocks) > 1 else halved(blocks[0])))

    def drawn_reals(self, trainer: Trainer, pl_module: LightningModule) -> Image.Image:
        """Returns held-out images of both domains: inputs, and their targets if they have any."""
        data = _data(trainer)
        split = split_of(data, "test")
        columns = [data.domain(role).reals(self.count, split)[0] for role in ("input", "target")]
        return side_by_side(*halved(columns))

    def _translated(self, game: Translates, way: Direction, split: str) -> list[Tensor]:
        """Returns the columns of a block: uint8 [n, C, H, W] each."""
        inputs = way.source.reals(self.count, split)[0]
        made = game.translate(to_float(inputs), way.name, self.weights, self.seed)
        columns = [inputs, to_uint8(made).cpu()]
        if way.back is not None:
            back = game.translate(made, way.back, self.weights, self.seed)
            columns.append(to_uint8(back).cpu())
        elif way.paired:
            columns.append(way.target.reals(self.count, split)[0])
        return columns


def halved(columns: list[Tensor]) -> list[list[Tensor]]:
    """Returns a block of images cut into an upper and a lower half, to be shown beside it.

    Args:
        columns: [n, C, H, W] each; shorter ones end the block.
    """
    rows = min(len(column) for column in columns)
    middle = (rows + 1) // 2
    upper, lower = [c[:middle] for c in columns], [c[middle:rows] for c in columns]
    return [upper, lower] if rows > 1 else [upper]


def side_by_side(*blocks: list[Tensor]) -> Image.Image:
    """Returns blocks of images beside each other, each image of a row belonging together.

    Args:
        blocks: columns of uint8 images [n, C, H, W]; grey ones are shown as RGB beside RGB, opaque
            ones as such beside transparent ones.
    """
    channels = {column.shape[1] for block in blocks for column in block}
    colour, alpha = max(channels) > 2, not all(c % 2 for c in channels)
    shown = [
        picture(
            torch.stack([_converted(column, colour, alpha) for column in block], 1).flatten(0, 1),
            columns=len(block),
        )
        for block in blocks
    ]
    width = sum(half.width for half in shown) + GAP * (len(shown) - 1)
    canvas = Image.new(shown[0].mode, (width, max(half.height for half in shown)))
    left = 0
    for half in shown:
        canvas.paste(half, (left, 0))
        left += half.width + GAP
    return canvas


def _converted(images: Tensor, colour: bool, alpha: bool) -> Tensor:
    """Returns uint8 [n, C, H, W] with three colours and an opaque alpha channel where asked for."""
    transparent = images.shape[1] % 2 == 0
    colours, opacity = (
        (images[:, :-1], images[:, -1:])
        if transparent
        else (images, torch.full_like(images[:, :1], 255))
    )
    if colour:
        colours = colours.expand(-1, 3, -1, -1)
    return torch.cat([colours, opacity], 1) if alpha else colours


def _data(trainer: Trainer) -> TranslationSource:
    return cast(TranslationSource, trainer.datamodule)  # type: ignore[attr-defined]
