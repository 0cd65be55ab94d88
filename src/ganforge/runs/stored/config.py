"""Reading the configuration in a run folder, which may be damaged or untrusted."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ganforge.config.requests import TrainRequest
from ganforge.errors import RunError
from ganforge.runs.folder import RunFolder
from ganforge.runs.stored.data_places import make_paths_absolute, start_folder
from ganforge.runs.stored.settling import keep_resolved, outside
from ganforge.runs.stored.yaml_files import read_config

# Data sets whose folder layout had other rules earlier: see ganforge.data.files.layout.
_READ_FOLDERS = {
    "ganforge.data.ImageFolder",
    "ganforge.data.PairedImages",
    "ganforge.data.UnpairedImages",
}
NEEDED = ("seed", "data", "model")
_MAPPINGS = {field.name for field in fields(TrainRequest) if "dict" in str(field.type)}


def read_resolved(folder: RunFolder) -> DictConfig:
    """Returns the resolved configuration that a run was last started with, from config.yaml.

    Raises:
        RunError: the file is missing, damaged, or refers to the environment.
    """
    cfg = read_stored(folder.config)
    if found := outside(cfg):
        path, text = found[0]
        raise RunError(f"{folder.config}: {'.'.join(path)} is {text}, not a value")
    return cfg


def read_own(folder: RunFolder) -> DictConfig:
    """Returns a run's configuration with references between its keys, from composed.yaml.

    Values that were read from the environment are taken from config.yaml. Relative data paths
    become absolute.

    Raises:
        RunError: a file is missing or damaged.
    """
    own = read_stored(folder.composed)
    if outside(own):
        keep_resolved(own, read_resolved(folder))
    make_paths_absolute(own, start_folder(own, folder.path))
    return own


def read_stored(path: Path) -> DictConfig:
    """Returns the configuration in a file of a run folder.

    Raises:
        RunError: the file cannot be read, or is not a run's configuration. The message names it.
    """
    return checked(read_config(path), path)


def checked(cfg: DictConfig, path: Path) -> DictConfig:
    """Returns a stored configuration after checking that it is a run's.

    Args:
        cfg: the configuration as read.
        path: the file that it was read from.

    Raises:
        RunError: a key is missing or has a wrong type. The message names the file and the key.
    """
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    for key in NEEDED:
        if plain.get(key) in (None, "???"):
            raise RunError(f"{path}: damaged, or not a run's configuration: it has no {key!r}")
    for key in _MAPPINGS & plain.keys():
        if plain[key] is not None and not isinstance(plain[key], dict):
            raise RunError(f"{path}: damaged: {key} must contain keys, and is {plain[key]!r}")
    keep_former_layout(cfg.data)
    return cfg


def keep_former_layout(data: Any) -> None:
    """Sets the former folder layout for runs older than ``data.layout``, in place.

    Such a run then reads its image folders by the rules that it was trained with.

    Args:
        data: the configuration of its data, a mapping or None.
    """
    if data is not None and data.get("_target_") in _READ_FOLDERS and "layout" not in data:
        data["layout"] = 1


def keep_former_devices(trainer: Any) -> None:
    """Lets a run that is older than ``trainer.tf32`` use all GPUs, in place, as it did before.

    ``trainer.devices=auto`` used all GPUs then, and uses one now.

    Args:
        trainer: the configuration of its trainer, a mapping or None.
    """
    if trainer is None or "tf32" in trainer:
        return
    if trainer.get("devices", "auto") == "auto":
        trainer["strategy"] = "ddp"
