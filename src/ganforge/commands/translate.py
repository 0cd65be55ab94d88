from __future__ import annotations

import errno
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from ganforge.callbacks.pictures.grid import save, single
from ganforge.commands.counting import counting
from ganforge.config.requests import TranslateRequest
from ganforge.console import console, setup_logging
from ganforge.data.files.decoding import (
    MAX_TRANSLATED_PIXELS,
    in_mode,
    reason_of,
    to_tensor,
    upright,
)
from ganforge.data.files.encoded import Entries
from ganforge.data.files.range_scan import find_span
from ganforge.data.files.value_range import ONLY_BYTES, Span, read_range
from ganforge.errors import ConfigError, DataError, InterruptionError, RunError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.needs import translates
from ganforge.paths import check_folder, is_there, typed_path
from ganforge.plain_text import one_line
from ganforge.runs.contents import refuse_run
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import load, read_config
from ganforge.runs.stored.lone_checkpoint import find_trained
from ganforge.terminal import as_typed
from ganforge.translate.files import check_out, open_input, output_names, warn_of_pairs
from ganforge.translate.translator import Game, ImageTranslator

log = logging.getLogger("ganforge")

# Errors that end the translation, because they would affect every further image.
FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


def translate_run(request: TranslateRequest) -> Path:
    """Translates images with a run's generator into PNGs of the same names and sizes.

    Args:
        request: the command as typed.

    Returns:
        The output folder.

    Raises:
        DataError: if some images could not be translated; raised after all others are written.
    """
    setup_logging()
    folder = find_trained(request.run, typed_path(request.log_dir))
    if request.weights not in ("ema", "raw"):
        raise ConfigError(f"weights must be one of ema, raw; got {request.weights!r}")
    if request.input is None:
        raise ConfigError("translate needs input=PATH: a folder, zip or image")
    source = typed_path(request.input)
    entries = open_input(source)
    if request.out is not None:
        check_folder(typed_path(request.out), "out")  # before the slow loading of the model
    model = _load_model(request)
    direction = _direction(request.direction, model)
    entries.span = input_span(entries, stated_range(folder, request.trust), direction)
    warn_of_pairs(entries, "pairs" in cast(AdversarialModule, model).needs)
    out = _out(request, folder, source, direction)
    targets = output_names(entries.names)
    check_out(out, source, entries.names, targets)
    refuse_run(out)
    _log_replaced(out, targets)
    translator = ImageTranslator(
        model, direction, request.weights, request.seed, request.tile, request.overlap
    )
    faults = _translate(translator, entries, out, targets)
    done = len(targets) - len(faults)
    if done:
        images = "1 image" if done == 1 else f"{done} images"
        console.print(f"{images}, {direction}, seed {request.seed}: {out}", soft_wrap=True)
    if faults:
        raise DataError(_report(faults, len(targets)))
    return out


def _load_model(request: TranslateRequest) -> Game:
    """Returns the run's model on the GPU if available; refuses models that do not translate."""
    model = load(request.run, request.checkpoint, request.log_dir, request.trust)
    if not translates(model):
        raise ConfigError(
            f"run={request.run}: {type(model).__name__} generates images from noise: use "
            f"`{as_typed(f'ganforge sample run={request.run}')}`, or train model=pix2pix or "
            "model=cyclegan"
        )
    model = model.cuda() if torch.cuda.is_available() else model
    return cast(Game, cast(Any, model))


def _direction(requested: str | None, model: Game) -> str:
    direction = model.directions[0] if requested is None else requested
    if direction not in model.directions:
        legal = ", ".join(model.directions)
        raise ConfigError(f"direction={direction}: this run's model translates only {legal}")
    return direction


def _out(request: TranslateRequest, folder: RunFolder, source: Path, direction: str) -> Path:
    if request.out is not None:
        return typed_path(request.out)
    return folder.subfolder("translated", f"{source.resolve().stem}-{direction}")


def _log_replaced(out: Path, targets: list[str]) -> None:
    existing = sum(is_there(out / target) and (out / target).is_file() for target in targets)
    if existing:
        log.info("%s: replaces %d existing images", one_line(out), existing)


def _translate(
    translator: ImageTranslator, entries: Entries, out: Path, targets: list[str]
) -> dict[str, str]:
    """Writes the translated images; returns the reasons for those that failed, by name."""
    faults: dict[str, str] = {}
    written = 0
    try:
        with counting(len(targets), "translated") as advance:
            for name, target in zip(entries.names, targets, strict=True):
                fault = _translate_one(translator, entries, name, out / target)
                if fault is None:
                    written += 1
                else:
                    faults[name] = fault
                advance(1)
    except KeyboardInterrupt as error:
        raise InterruptionError(
            f"interrupted: {written} of {len(targets)} images are complete in {out}"
        ) from error
    return faults


def _translate_one(
    translator: ImageTranslator, entries: Entries, name: str, path: Path
) -> str | None:
    """Writes one translated image; returns the reason if that fails, else None."""
    image = _read(entries, name, translator.channels)
    if isinstance(image, str):
        return image
    try:
        translated = translator(image, name)
    except MemoryError as error:
        return str(error)
    try:
        save(single(translated), path, durable=False)
    except RunError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno in FATAL:
            raise
        return f"cannot be written to {one_line(path)}: {cause.strerror or cause}"
    return None


def _read(entries: Entries, name: str, channels: int) -> Tensor | str:
    """Returns an image, uint8 [C, H, W], or the reason why it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd headers only warn; unreadable files raise
            return to_tensor(translatable(entries, name, channels))
    except Exception as error:  # decoders raise arbitrary exceptions on damaged data
        return reason_of(error)


def _report(faults: dict[str, str], total: int) -> str:
    head = f"{len(faults)} of {total} images could not be translated:"
    return "\n".join([head, *(f"  {one_line(name)}: {reason}" for name, reason in faults.items())])


def stated_range(folder: RunFolder, trust: Sequence[str] = ()) -> Any:
    """Returns the value range stored for a run's training images; None for 8-bit images."""
    try:
        data = read_config(folder, trust).get("data")
    except RunError:  # without a configuration
        return None
    plain = OmegaConf.to_container(data) if OmegaConf.is_config(data) else None
    return plain.get("range") if isinstance(plain, dict) else None


def input_span(entries: Entries, stated: Any, direction: str) -> Span | None:
    """Returns the value range of inputs that are not 8-bit: the training range, else their own.

    Args:
        entries: the input images.
        stated: the run's ``data.range``.
        direction: "AtoB" or "BtoA"; the first letter is the domain of the inputs.
    """
    try:
        span = read_range(stated, direction[0])
    except ConfigError:  # written by a version with another format
        span = None
    span = None if span is None else span.clamped()
    span = find_span("input", entries, entries.names, span, mixed=True)
    return None if span is ONLY_BYTES else span


def translatable(entries: Entries, name: str, channels: int) -> Image.Image:
    """Returns an image converted to the network's number of channels.

    Raises:
        DataError: if it has more than ``MAX_TRANSLATED_PIXELS`` pixels.
        Exception: of any type, from the decoders, if the data is damaged.
    """
    image = upright(entries.read(name), MAX_TRANSLATED_PIXELS)
    return in_mode(image, channels, entries.span)
