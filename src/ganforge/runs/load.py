from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from ganforge.data.module import ImageDataModule
from ganforge.errors import DamagedError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.paths import typed_path
from ganforge.runs.folder import RunFolder
from ganforge.runs.stored.checkpoint import LAST, PREVIOUS, AtomicCheckpointIO
from ganforge.runs.stored.checkpoint_contents import assert_finite, assert_same_architecture
from ganforge.runs.stored.config import checked, read_resolved
from ganforge.runs.stored.lone_checkpoint import LoneCheckpoint, find_trained
from ganforge.runs.stored.trust import trusted

log = logging.getLogger("ganforge")


def load(
    run: str | Path,
    checkpoint: str = "last",
    log_dir: str | Path = "logs",
    trust: Sequence[str] = (),
) -> AdversarialModule:
    """Rebuilds a trained model, its average included.

    Where last.ckpt is damaged or missing, previous.ckpt is loaded, with a warning.

    Args:
        run: a run folder, one of its checkpoints, a checkpoint on its own, or "latest".
        checkpoint: "last", "previous" or "best", where ``run`` is a folder.
        log_dir: where "latest" is looked up.
        trust: packages of the user's own whose parts the run may be made of. See docs/security.md.

    Returns:
        The model in evaluation mode, on the CPU.

    Raises:
        RunError: when the run or its checkpoint is missing, damaged or of another architecture, or
            names a part that is not trusted.
    """
    return load_with_path(run, checkpoint, log_dir, trust)[0]


def load_with_path(
    run: str | Path,
    checkpoint: str = "last",
    log_dir: str | Path = "logs",
    trust: Sequence[str] = (),
) -> tuple[AdversarialModule, Path]:
    """Returns what :func:`load` returns, and the checkpoint that it was read from."""
    folder = find_trained(str(run), typed_path(log_dir))
    named = typed_path(run) if str(run).endswith(".ckpt") else None
    choices = [named] if named is not None else _choices(folder, checkpoint)
    with torch.random.fork_rng(devices=[]):  # the caller's random stream is none of a run's
        model = build_model(read_config(folder, trust))
    path = restore_first(model, choices)
    return model.eval(), path


def _choices(folder: RunFolder, kind: str) -> list[Path]:
    """Returns the checkpoints of a kind, and behind the last one the one before it."""
    first, previous = folder.checkpoint(kind), folder.checkpoints / PREVIOUS
    if kind == "last" and first == previous:
        log.warning("%s is missing; using %s", folder.checkpoints / LAST, previous)
    return [first, previous] if first.name == LAST and previous.is_file() else [first]


def restore_first(model: AdversarialModule, choices: list[Path]) -> Path:
    """Restores the first checkpoint that is whole, and returns its path.

    Raises:
        RunError: none is, or one is of another architecture. The message names them all.
    """
    faults: list[str] = []
    for path in choices:
        try:
            # Also where it was written on a GPU, and loaded without one.
            state = AtomicCheckpointIO().load_checkpoint(path, lambda storage, _: storage)
            restore(model, state, path)
        except DamagedError as error:
            faults.append(str(error))
            continue
        if faults:
            log.warning("%s\nusing %s", "\n".join(faults), path)
        return path
    previous = choices[-1].with_name(PREVIOUS)
    more = choices[-1].name == LAST and previous.is_file()
    raise DamagedError("\n".join(faults) + (f"; try {previous}" if more else ""))


def build_data(folder: RunFolder, trust: Sequence[str] = ()) -> ImageDataModule:
    """Builds a run's data module: what its points are drawn from, its classes. Reads no data."""
    return cast(ImageDataModule, build(read_config(folder, trust).data))


def read_config(folder: RunFolder, trust: Sequence[str] = ()) -> DictConfig:
    """Returns a run's resolved configuration: of its folder, or of a checkpoint on its own.

    Every configuration that is read to build parts of a trained run passes through here.

    Args:
        folder: the run's.
        trust: packages of the user's own, as in ``trust=[my_package]``.

    Raises:
        RunError: it is missing or damaged, or names a part that is not trusted.
    """
    if isinstance(folder, LoneCheckpoint):
        return trusted(checked(folder.stored_config, folder.source), folder.source, trust)
    return trusted(read_resolved(folder), folder.config, trust)


def build_model(cfg: DictConfig) -> AdversarialModule:
    """Builds the model of a configuration; its initial weights are a function of the seed."""
    torch.manual_seed(cfg.seed)
    return cast(AdversarialModule, build(cfg.model))


def build(node: Any) -> Any:
    """Builds an object of the configuration; a list or mapping in it arrives as a plain one."""
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
        RunError: when the weights are those of another architecture.
        DamagedError: when weights are not finite, or entries are missing or of other types.
    """
    assert_same_architecture(model, checkpoint, path)
    assert_finite(model, checkpoint, path)
    model.load_state_dict(checkpoint["state_dict"])
    try:
        model.on_load_checkpoint(checkpoint)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DamagedError(f"{path}: damaged: not as ganforge writes it ({reason})") from error
