from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ganforge.config.check import check, did_you_mean
from ganforge.config.command import Command, read_choices
from ganforge.data.module import ImageDataModule
from ganforge.errors import ConfigError, DamagedError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.paths import typed_path
from ganforge.runs.folder import RunFolder
from ganforge.runs.stored.checkpoint import LAST, PREVIOUS, AtomicCheckpointIO
from ganforge.runs.stored.checkpoint_contents import assert_finite, assert_same_architecture
from ganforge.runs.stored.config import checked, read_resolved
from ganforge.runs.stored.data_places import PLACES, explaining_missing_data, make_paths_absolute
from ganforge.runs.stored.lone_checkpoint import LoneCheckpoint, find_trained
from ganforge.runs.stored.settling import settle
from ganforge.runs.stored.trust import trusted

log = logging.getLogger("ganforge")
# Keys that may differ from training besides the paths: how the images are read.
READING = (
    "workers",
    "in_memory",
    "memory_limit_mb",
    "cache",
    "cache_limit_mb",
    "max_unreadable",
    "shard_cache_gb",
)


def load(
    run: str | os.PathLike[str],
    checkpoint: str = "last",
    log_dir: str | Path = "logs",
    trust: Sequence[str] = (),
) -> AdversarialModule:
    """Loads a trained model, including its weight average.

    If last.ckpt is damaged or missing, previous.ckpt is loaded with a warning.

    Args:
        run: a run, its folder, one of its checkpoints, a standalone checkpoint, or "latest".
        checkpoint: "last", "previous" or "best", if ``run`` is a folder.
        log_dir: root of all outputs, in which "latest" is searched.
        trust: the user's packages whose classes the configuration may name. See docs/security.md.

    Returns:
        The model in evaluation mode, on the CPU.

    Raises:
        RunError: the run or its checkpoint is missing, damaged or of another architecture, or
            names a class that is not trusted.
    """
    return load_restored(run, checkpoint, log_dir, trust).model


@dataclass(frozen=True)
class Restored:
    """A trained model and the checkpoint that it was read from.

    Attributes:
        model: the model in evaluation mode.
        path: the checkpoint.
        images: what identifies its training images; None in old checkpoints.
    """

    model: AdversarialModule
    path: Path
    images: Any


def load_restored(
    run: str | os.PathLike[str],
    checkpoint: str = "last",
    log_dir: str | Path = "logs",
    trust: Sequence[str] = (),
) -> Restored:
    """Returns what :func:`load` returns, with the checkpoint that it was read from."""
    run = os.fspath(run)
    folder = find_trained(run, typed_path(log_dir))
    named = typed_path(run) if run.endswith(".ckpt") else None
    choices = [named] if named is not None else _choices(folder, checkpoint)
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random state unchanged
        model = build_model(read_config(folder, trust))
    path, images = restore_first(model, choices)
    return Restored(model.eval(), path, images)


def _choices(folder: RunFolder, kind: str) -> list[Path]:
    """Returns the checkpoints to try in order: the one of ``kind``; after last, also previous."""
    first, previous = folder.checkpoint(kind), folder.checkpoints / PREVIOUS
    if kind == "last" and first == previous:
        log.warning("%s is missing; using %s", folder.checkpoints / LAST, previous)
    return [first, previous] if first.name == LAST and previous.is_file() else [first]


def restore_first(model: AdversarialModule, choices: list[Path]) -> tuple[Path, Any]:
    """Restores the first undamaged checkpoint; returns its path and its entry ``images``.

    Raises:
        RunError: all are damaged (the message lists them), or one is of another architecture.
    """
    faults: list[str] = []
    for path in choices:
        try:
            # The map_location keeps tensors on the CPU, also those saved on a GPU.
            state = AtomicCheckpointIO().load_checkpoint(path, lambda storage, _: storage)
            restore(model, state, path)
        except DamagedError as error:
            faults.append(str(error))
            continue
        if faults:
            log.warning("%s\nusing %s", "\n".join(faults), path)
        return path, state.get("images")
    previous = choices[-1].with_name(PREVIOUS)
    more = choices[-1].name == LAST and previous.is_file()
    raise DamagedError("\n".join(faults) + (f"; try {previous}" if more else ""))


def build_data(folder: RunFolder, trust: Sequence[str] = ()) -> ImageDataModule:
    """Builds a run's data module, for its point distribution and classes, without reading data."""
    return cast(ImageDataModule, build(read_config(folder, trust).data))


def read_config(folder: RunFolder, trust: Sequence[str] = ()) -> DictConfig:
    """Returns a run's resolved configuration, from its folder or from a standalone checkpoint.

    All code that builds parts of a trained run must read its configuration through this function,
    which checks that its targets are trusted.

    Args:
        folder: the run's folder.
        trust: the user's packages, as in ``trust=[my_package]``.

    Raises:
        RunError: it is missing or damaged, or names a class that is not trusted.
    """
    if isinstance(folder, LoneCheckpoint):
        return trusted(checked(folder.stored_config, folder.source), folder.source, trust)
    return trusted(read_resolved(folder), folder.config, trust)


def build_model(cfg: DictConfig) -> AdversarialModule:
    """Builds the model of a configuration; its initial weights depend only on the seed."""
    torch.manual_seed(cfg.seed)
    return cast(AdversarialModule, build(cfg.model))


def build(node: Any) -> Any:
    """Instantiates a node of the configuration; its lists and mappings become plain containers.

    Errors of a constructor are raised as they are, not as Hydra's InstantiationException.
    """
    from hydra.errors import InstantiationException

    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        if error.__cause__ is not None:
            raise error.__cause__ from error
        raise


def restore(model: AdversarialModule, checkpoint: dict[str, Any], path: Path) -> None:
    """Loads weights and counters from a checkpoint.

    Raises:
        RunError: the weights are of another architecture.
        DamagedError: weights are not finite, or entries are missing or have wrong types.
    """
    assert_same_architecture(model, checkpoint, path)
    assert_finite(model, checkpoint, path)
    model.load_state_dict(checkpoint["state_dict"])
    try:
        model.on_load_checkpoint(checkpoint)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DamagedError(f"{path}: damaged: not as ganforge writes it ({reason})") from error


def load_run_data(
    folder: RunFolder, command: Command, trust: Sequence[str] = ()
) -> ImageDataModule:
    """Returns the data module of a run, set up, with the ``data.path=NEW`` of a command.

    Args:
        folder: the run's folder.
        command: the parsed command line.
        trust: the user's packages whose classes the configuration may name.

    Raises:
        ConfigError: the command names other data than the run's.
        DataError: the data are missing or unreadable.
    """
    node = data_config(folder, command, trust)
    with explaining_missing_data(node):
        data = cast(ImageDataModule, build(node))
        data.prepare_data()
        data.setup()
    return data


def data_config(folder: RunFolder, command: Command, trust: Sequence[str] = ()) -> DictConfig:
    """Returns the configuration of a run's data, with the overrides of a command.

    Raises:
        ConfigError: the command changes the data option, or a key other than paths and reading.
    """
    option, own = command.groups.get("data"), read_choices(folder.path).get("data")
    if option is not None and own not in (None, option):
        raise ConfigError(
            f"data={option}: the run {folder.path} was trained with data={own} and is compared "
            "with these. If they have moved, data.path=NEW; external images are compared "
            "with fake=IMAGES real=data data=NAME"
        )
    cfg = read_config(folder, trust)
    legal = [key for key in (*PLACES, *READING) if key in cfg.data]
    for key, value in command.values.items():
        root, _, name = key.partition(".")
        if root != "data":
            continue
        if name not in legal:
            raise ConfigError(
                f"{key}: a run is compared with the data that it was trained on, and only where "
                f"and how they are read can change; {did_you_mean(name, legal)}"
            )
        OmegaConf.update(cfg, key, value)
    settle(cfg)
    make_paths_absolute(cfg, Path.cwd())
    check(OmegaConf.create({"data": OmegaConf.to_container(cfg.data, resolve=True)}))
    return cast(DictConfig, cfg.data)
