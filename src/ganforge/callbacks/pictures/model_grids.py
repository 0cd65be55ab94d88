from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor

from ganforge.callbacks.pictures.grid import by_class, label_rows, picture
from ganforge.callbacks.pictures.scatter import scatter_of
from ganforge.data.images import to_float, to_uint8
from ganforge.data.module import ImageDataModule
from ganforge.metrics.pairs.direction import Direction, TranslationSource, directions_of
from ganforge.metrics.pairs.evaluate import Translates
from ganforge.metrics.pairs.held_out import split_of
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.update import Weights

ROWS = 16  # maximum number of classes shown
SEARCHED_REALS = 4096  # real images searched for examples of each class
GAP = 8  # pixels between the two halves of a grid


class Grids(ABC):
    """Draws what a model generates, and real images to compare it with.

    Args:
        model: the model.
        data: its data.
        count: maximum number of images in a grid.
        seed: seed of the latents, or of networks that sample noise.
        weights: "ema" for the averaged generator, "raw" for the live one.

    Attributes:
        caption: caption that loggers show below a grid.
    """

    caption: str = ""

    def __init__(
        self, model: AdversarialModule, data: Any, count: int, seed: int, weights: Weights
    ) -> None:
        self.model = model
        self.data = data
        self.count = count
        self.seed = seed
        self.weights = weights

    @abstractmethod
    def generated(self) -> Image.Image:
        """Returns a grid of what the model generates now."""

    @abstractmethod
    def reals(self) -> Image.Image:
        """Returns a grid of real images."""


class SampleGrids(Grids):
    """Draws samples from fixed latents; density plots of data sets of 2-D points.

    For conditional models, the grids of samples and of labeled real images have one row per class
    (the first 16 classes), with the class name next to it.
    """

    def generated(self) -> Image.Image:
        """Returns the current grid of samples, or a density plot for 2-D points."""
        return scatter_of(self.data, self._sampled) or self._grid()

    def reals(self) -> Image.Image:
        """Returns the grid of real images, or a density plot for 2-D points."""
        data = cast(ImageDataModule, self.data)
        rows = min(data.num_classes, ROWS) if self.model.num_classes > 0 else 0
        plot = scatter_of(data, lambda n: data.reals(min(n, data.size("train")))[0])
        return plot or self._grid_of_reals(data, rows)

    def _sampled(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.model.sample(n, seed=self.seed, weights=self.weights, labels=labels)

    def _grid(self) -> Image.Image:
        rows = min(self.model.num_classes, ROWS)
        if rows == 0:
            return picture(self._sampled(self.count))
        labels = torch.arange(self._columns(rows) * rows) % rows
        images = self._sampled(len(labels), labels)
        return label_rows(picture(*by_class(images.cpu(), labels, rows)), self._names()[:rows])

    def _columns(self, rows: int) -> int:
        return max(1, self.count // rows)

    def _grid_of_reals(self, data: ImageDataModule, rows: int) -> Image.Image:
        images, labels = data.reals(min(SEARCHED_REALS if rows else self.count, data.size("train")))
        if rows == 0 or labels is None:
            return picture(images[: self.count])
        chosen = torch.cat([torch.nonzero(labels == c)[: self._columns(rows)] for c in range(rows)])
        chosen = chosen.flatten()
        grid = picture(*by_class(images[chosen], labels[chosen], rows))
        return label_rows(grid, self._names()[:rows])

    def _names(self) -> list[str]:
        """Returns the class names; [] if the model's classes are not the labels of the data."""
        names = getattr(self.data, "class_names", [])
        labels = getattr(self.model, "classes_are_labels", True)
        return list(names) if labels and len(names) == self.model.num_classes else []


class TranslationGrids(Grids):
    """Draws translations of held-out images; training images if none are held out.

    A model with one direction has the columns input, output and target (no target for unpaired
    data), in two blocks next to each other. A model with two directions has real A, fake B and
    reconstructed A on the left, and B, fake A and reconstructed B on the right.
    """

    caption = "input | output | target, or real A | fake B | back to A and its mirror"

    def generated(self) -> Image.Image:
        """Returns a grid of held-out images, translations, and targets or reconstructions."""
        model, data = cast(Translates, cast(Any, self.model)), cast(TranslationSource, self.data)
        directions = directions_of(data, model.directions)
        split = split_of(data, "test")
        blocks = [self._translated(model, direction, split) for direction in directions]
        return side_by_side(*(blocks if len(blocks) > 1 else halved(blocks[0])))

    def reals(self) -> Image.Image:
        """Returns a grid of held-out inputs and images of the target domain."""
        data = cast(TranslationSource, self.data)
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
