"""What `ganforge sample` offers for style-based games: a choice of noise, and mixed styles."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ganforge.data.images import to_uint8
from ganforge.errors import ConfigError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.style_based import StyleBased
from ganforge.networks.layers.noise_input import check_mode

# Destinations whose coarse, middle and fine styles are those of the sources: the paper's figure 3.
ROWS = (3, 2, 1)


def choose_noise(model: AdversarialModule, noise: str | None) -> None:
    """Sets the noise of samples; None leaves it as the run has it."""
    if noise is None:
        return
    if not isinstance(model, StyleBased):
        raise _no_styles(f"noise={noise}", model)
    check_mode("sample", noise)
    model.noise = noise


def check_style_mix(model: AdversarialModule, n: int, out: Path) -> StyleBased:
    """Refuses models without styles, too few images for a grid, and what is no picture."""
    if not isinstance(model, StyleBased):
        raise _no_styles("style_mix=true", model)
    if out.suffix.lower() != ".png":
        raise ConfigError(f"out={out}: style_mix=true makes one picture; must end in .png")
    if n < (least := destinations(model)):
        raise ConfigError(
            f"style_mix=true: n counts the mixed images, {least} for each source; must be at least "
            f"{least}, got {n}"
        )
    return model


@torch.no_grad()
def style_mix(
    model: StyleBased,
    sources: int,
    seed: int = 0,
    weights: Literal["ema", "raw"] = "ema",
    label: int | None = None,
) -> tuple[Tensor, int]:
    """Returns the grid of figure 3 of arXiv:1812.04948, row by row, and its number of columns.

    Sources along the top, destinations down the side. Each image between them has some of the
    source's styles and the others of the destination: coarse ones (4x4 and 8x8) in the first three
    rows, middle ones (16x16 and 32x32) in two, fine ones in the last. Where images are smaller, the
    bands are narrower. The noise is the destination's.

    Args:
        model: a game whose generator has styles.
        sources: images 0 ... sources - 1 of the seed; the destinations are those after them.
        seed: of the samples' stream.
        weights: "ema" for the averaged generator, "raw" for the live one.
        label: class of all images; None takes all classes in turn.

    Returns:
        uint8 [(rows + 1) * (sources + 1), C, H, W] on the CPU; the corner is black.
    """
    bands = _bands_of_rows(model)
    count = sources + len(bands)
    labels = None if label is None else torch.full((count,), label)
    images = to_uint8(model.sample(count, seed, weights, labels=labels))
    ws = model.styles(count, seed, weights, labels=labels)
    cells = [torch.zeros_like(images[:1]), images[:sources]]
    for row, band in enumerate(bands):
        destination = sources + row
        styles = ws[destination].repeat(sources, 1, 1)
        styles[:, band] = ws[:sources, band]
        mixed = to_uint8(model.render(styles, seed, weights, destination))
        cells += [images[destination : destination + 1], mixed]
    return torch.cat(cells).cpu(), sources + 1


def style_bands(layers: int) -> list[slice]:
    """Returns the coarse, the middle and the fine layers of so many, two to a size.

    From 64x64 on the paper's: those up to 8x8, up to 32x32, and the others. A network of two sizes
    has no fine ones, one of a single size coarse ones alone.
    """
    stages = layers // 2
    coarse = 2 if stages > 3 else 1
    middle = coarse + (2 if stages > 4 else 1)
    edges = [0, *(min(2 * edge, layers) for edge in (coarse, middle)), layers]
    bands = [slice(*pair) for pair in itertools.pairwise(edges)]
    return [band for band in bands if band.start < band.stop]


def destinations(model: StyleBased) -> int:
    """Returns the rows of a model's grid, 6 but for the smallest images."""
    return len(_bands_of_rows(model))


def _bands_of_rows(model: StyleBased) -> list[slice]:
    bands = style_bands(model.layers_in_use(model.generator))
    return [band for band, rows in zip(bands, ROWS, strict=False) for _ in range(rows)]


def _no_styles(asked: str, model: AdversarialModule) -> ConfigError:
    return ConfigError(
        f"{asked}: this run's model ({type(model).__name__}) has neither styles nor maps of noise. "
        "Leave it out, or train one that has: model=stylegan, model=stylegan2"
    )
