"""Options of `ganforge sample` for style-based models: noise mode and style mixing."""

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
from ganforge.networks.layers.styles import check_mode

# Grid rows that take the coarse, middle and fine styles of the sources: the paper's figure 3.
ROWS = (3, 2, 1)


def choose_noise(model: AdversarialModule, noise: str | None) -> None:
    """Sets the noise mode for sampling; None keeps the run's own setting."""
    if noise is None:
        return
    if not isinstance(model, StyleBased):
        raise _no_styles(f"noise={noise}", model)
    check_mode("sample", noise)
    model.noise = noise


def check_style_mix(model: AdversarialModule, n: int, out: Path) -> StyleBased:
    """Returns the style-based model; refuses other models, too small grids and non-PNG outputs."""
    if not isinstance(model, StyleBased):
        raise _no_styles("style_mix=true", model)
    if out.suffix.lower() != ".png":
        raise ConfigError(f"out={out}: style_mix=true writes one grid; must end in .png")
    if n < (least := destinations(model)):
        raise ConfigError(
            f"style_mix=true: n is the number of mixed images, {least} for each source; must be at "
            f"least {least}, got {n}"
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

    Sources are along the top, destinations down the side. Each inner image takes some styles from
    the source and the others from the destination: coarse styles (4x4 and 8x8) in the first three
    rows, middle styles (16x16 and 32x32) in the next two, fine styles in the last. For smaller
    images the bands are narrower. The noise is the destination's.

    Args:
        model: a style-based model.
        sources: number of sources, images 0 ... sources - 1 of the seed; destinations follow them.
        seed: seed of the sampling stream.
        weights: "ema" for the averaged generator, "raw" for the live one.
        label: class of all images; None cycles through all classes.

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
    """Returns the coarse, middle and fine bands of layers; each resolution has two layers.

    From 64x64 on the bands are the paper's: up to 8x8, up to 32x32, and the rest. A network with
    two resolutions has no fine band, one with a single resolution only the coarse band.
    """
    stages = layers // 2
    coarse = 2 if stages > 3 else 1
    middle = coarse + (2 if stages > 4 else 1)
    edges = [0, *(min(2 * edge, layers) for edge in (coarse, middle)), layers]
    bands = [slice(*pair) for pair in itertools.pairwise(edges)]
    return [band for band in bands if band.start < band.stop]


def destinations(model: StyleBased) -> int:
    """Returns the number of destinations (rows) of a model's grid: 6, fewer for tiny images."""
    return len(_bands_of_rows(model))


def _bands_of_rows(model: StyleBased) -> list[slice]:
    bands = style_bands(model.layers_in_use(model.generator))
    return [band for band, rows in zip(bands, ROWS, strict=False) for _ in range(rows)]


def _no_styles(option: str, model: AdversarialModule) -> ConfigError:
    return ConfigError(
        f"{option}: this run's model ({type(model).__name__}) has neither styles nor noise inputs. "
        "Leave it out, or train a style-based model: model=stylegan or model=stylegan2"
    )
