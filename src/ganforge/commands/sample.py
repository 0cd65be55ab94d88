from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from ganforge.callbacks.pictures.grid import picture, save
from ganforge.callbacks.pictures.model_grids import ROWS
from ganforge.commands.counting import counting
from ganforge.commands.sample_files import (
    Labels,
    Samples,
    check_grid,
    check_out,
    write_images,
    write_points,
)
from ganforge.commands.sample_styles import check_style_mix, choose_noise, destinations, style_mix
from ganforge.config.check import did_you_mean
from ganforge.config.requests import SampleRequest
from ganforge.console import console
from ganforge.data.images import to_uint8
from ganforge.data.module import ImageDataModule
from ganforge.errors import ConfigError
from ganforge.metrics.features.points import mixture_of
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.style_based import StyleBased
from ganforge.needs import translates
from ganforge.paths import typed_path
from ganforge.plain_text import one_line
from ganforge.runs.load import build_data, load
from ganforge.runs.stored.lone_checkpoint import find_trained
from ganforge.terminal import as_typed

BLOCK = 256
_MAX_LENGTH = 40  # maximum characters of a class name in a file name


def sample_run(request: SampleRequest) -> Path:
    """Samples images from a run into a PNG grid, an array or single PNGs.

    2D points are written as a density plot or an array. With ``style_mix``, a style-based model
    writes a grid of mixed source and destination styles.

    Args:
        request: the command as typed.

    Returns:
        Path of the output.
    """
    if request.n < 1:
        raise ConfigError(f"n must be at least 1, got {request.n}")
    folder = find_trained(request.run, typed_path(request.log_dir))
    data = build_data(folder, request.trust)
    mixture = mixture_of(data)
    out = (
        folder.subfolder("samples") / f"{_name(request)}.png"
        if request.out is None
        else typed_path(request.out)
    )
    check_out(out, points=mixture is not None)
    model = load(request.run, request.checkpoint, request.log_dir, request.trust)
    _refuse_translations(request.run, model)
    names = class_names_of(data, model)
    chosen = _chosen(getattr(request, "class"), names, model)
    labels = _labels(chosen, model)
    truncate(model, request.truncation)
    choose_noise(model, request.noise)
    if request.style_mix:
        return _mix_styles(model, request, out, chosen)
    samples = Samples(request.n, _draw(model, request, labels, as_bytes=mixture is None), labels)
    if mixture is None:
        in_rows = 0 < model.num_classes <= ROWS and chosen is None
        write_images(samples, out, model.num_classes if in_rows else 0, names)
    else:
        write_points(samples, out, mixture)
    what = "images" if mixture is None else "points"
    what += "" if chosen is None else f" of {chosen.text}"
    console.print(f"{request.n} {what}, seed {request.seed}: {out}", soft_wrap=True)
    return out


def _mix_styles(
    model: AdversarialModule, request: SampleRequest, out: Path, chosen: RequestedClass | None
) -> Path:
    """Writes a style-mixing grid of sources and destinations."""
    styled = check_style_mix(model, request.n, out)
    if torch.cuda.is_available():
        styled = styled.cuda()
    check_grid(request.n, *styled.sample(1, request.seed).shape[2:])
    sources = request.n // destinations(styled)
    label = None if chosen is None else chosen.number
    images, columns = style_mix(styled, sources, request.seed, request.weights, label)
    save(picture(images, columns), out)
    rows = f"{destinations(styled)} destinations"
    styles = f"styles of {sources} sources (top) applied to {rows}"
    console.print(f"{styles}, seed {request.seed}: {out}", soft_wrap=True)
    return out


def _refuse_translations(run: str, model: AdversarialModule) -> None:
    if translates(model):
        raise ConfigError(
            f"run={run}: {type(model).__name__} translates images: use "
            f"`{as_typed(f'ganforge translate run={run} input=DIR out=DIR')}`"
        )


def _name(request: SampleRequest) -> str:
    """Returns the default file name, without suffix, which contains the sampling options."""
    options = (
        "" if getattr(request, "class") is None else f"-c{file_part(getattr(request, 'class'))}"
    )
    options += "" if request.truncation is None else f"-t{request.truncation:g}"
    options += "" if request.noise is None else f"-{request.noise}"
    kind = "styles" if request.style_mix else "sample"
    return f"{kind}-s{request.seed}-n{request.n}{options}"


def _draw(
    model: AdversarialModule, request: SampleRequest, labels: Labels | None, as_bytes: bool
) -> Iterator[torch.Tensor]:
    """Yields blocks of [count, C, H, W] on the CPU: uint8, or float32 in [-1, 1]."""
    if torch.cuda.is_available():
        model = model.cuda()
    with counting(request.n, "generated") as advance:
        for first in range(0, request.n, BLOCK):
            n = min(BLOCK, request.n - first)
            classes = None if labels is None else labels(first, n)
            block = model.sample(n, request.seed, request.weights, first, classes)
            yield (to_uint8(block) if as_bytes else block).cpu()
            advance(n)


def truncate(model: AdversarialModule, truncation: float | None) -> None:
    """Sets the truncation of latents or styles; None keeps the run's own setting."""
    if truncation is None:
        return
    if not hasattr(model, "truncation"):
        raise ConfigError(
            f"truncation={truncation:g}: this run's model ({type(model).__name__}) has no "
            "truncation. Leave truncation out, or train a model that supports it: model=biggan or "
            "model=stylegan"
        )
    if isinstance(model, StyleBased):
        model.check_truncation("truncation", truncation)
    elif not truncation > 0:
        raise ConfigError(f"truncation must be above 0 or null, got {truncation:g}")
    cast(Any, model).truncation = truncation


def _chosen(requested: object, names: list[str], model: AdversarialModule) -> RequestedClass | None:
    """Returns the requested class, given by name or number; None for all classes."""
    if requested is None:
        return None
    if model.num_classes == 0:
        raise ConfigError(
            f"class={requested}: this run's model ({type(model).__name__}) is unconditional. "
            "Leave class out, or train a conditional model: model=cgan"
        )
    return find_class(requested, names, model.num_classes)


def _labels(chosen: RequestedClass | None, model: AdversarialModule) -> Labels | None:
    """Returns a function that gives each image's class: the chosen one, or all in turn."""
    classes = model.num_classes
    if chosen is not None:
        return lambda first, n: torch.full((n,), chosen.number)
    return None if classes == 0 else lambda first, n: torch.arange(first, first + n) % classes


@dataclass(frozen=True)
class RequestedClass:
    """A class of a run.

    Attributes:
        number: its label.
        text: its name in messages.
    """

    number: int
    text: str


def find_class(requested: object, names: list[str], count: int) -> RequestedClass:
    """Returns the class with the given name or, if there is none, the given number.

    If all names are numbers, a number is treated as a name: ``class=1`` is the folder ``1`` or
    ``01``.

    Args:
        requested: the value as typed.
        names: names of the run's classes; empty if they have none.
        count: number of classes.

    Raises:
        ConfigError: if there is no such class.
    """
    text = str(requested).lower() if isinstance(requested, bool) else str(requested)
    whole = int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None
    number = _by_name(text, whole, names)
    if number is None and whole is not None and whole < count and not _all_numbers(names):
        number = whole
    if number is None:
        if not names:
            raise ConfigError(f"class must be in 0 ... {count - 1} for this run, got {text}")
        hint = did_you_mean(text, names)
        numbers = "" if _all_numbers(names) else f"; or a number in 0 ... {count - 1}"
        raise ConfigError(f"class={text}: this run has no such class; {hint}{numbers}")
    return RequestedClass(number, _described(number, names, whole))


def _by_name(text: str, whole: int | None, names: list[str]) -> int | None:
    if text in names:
        return names.index(text)
    if whole is None or not _all_numbers(names):
        return None
    equal = [label for label, name in enumerate(names) if int(name) == whole]
    return equal[0] if len(equal) == 1 else None


def _all_numbers(names: list[str]) -> bool:
    return bool(names) and all(re.fullmatch(r"\d{1,9}", name, re.ASCII) for name in names)


def _described(number: int, names: list[str], whole: int | None) -> str:
    if not names:
        return f"class {number}"
    other = "" if whole is None or names[number] == str(number) else f", number {number}"
    return one_line(f"class {names[number]}{other}")


def file_part(requested: object) -> str:
    """Returns a class as part of a file name, limited to characters that are portable."""
    plain = str(requested).encode("ascii", "ignore").decode()
    return re.sub(r"[^\w.-]+", "_", plain)[:_MAX_LENGTH] or "class"


def class_names_of(data: ImageDataModule, model: AdversarialModule) -> list[str]:
    """Returns the names of a run's classes; empty if its classes are not the labels of its data.

    No data is read.
    """
    fitting = model.classes_are_labels and len(data.class_names) == model.num_classes
    return data.class_names if fitting else []
