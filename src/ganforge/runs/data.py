"""The data of a trained run, for commands that read them again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from ganforge.config.check import check, did_you_mean
from ganforge.config.command import Command, read_choices
from ganforge.data.module import ImageDataModule
from ganforge.errors import ConfigError
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import build, read_config
from ganforge.runs.stored.data_places import PLACES, explaining_missing_data, make_paths_absolute
from ganforge.runs.stored.settling import settle

# Keys that may differ from training besides the paths: how the images are read.
READING = ("workers", "in_memory", "memory_limit_mb", "max_unreadable")


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
