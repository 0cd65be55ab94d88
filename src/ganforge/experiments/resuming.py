from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ganforge.errors import ConfigError, RunError
from ganforge.experiments.checkpoint_io import AtomicCheckpointIO
from ganforge.experiments.command import Command, read_choices
from ganforge.experiments.comparison_runs import flatten
from ganforge.experiments.run_config import assert_fits
from ganforge.experiments.run_folder import RunFolder
from ganforge.experiments.run_lock import is_locked
from ganforge.models.adversarial import AdversarialModule
from ganforge.trainer_settings import TrainerSettings

log = logging.getLogger("ganforge")

# What may differ between a run's own configuration and the one it is resumed with.
VOLATILE = ("resume", "run_dir", "dry_run", "log_dir", "tags", "notes", "tune")
# Groups that watch a run or say where it computes; the others make it what it is.
EXCHANGEABLE = {"trainer", "callbacks", "logger", "metrics", "features"}
# Groups given as lists of options, each of which is a part of its own.
LISTS = ("regularizer", "metrics")
# What an option of trainer= is chosen for; how long and how precisely is the run's own.
PLACE = ("accelerator", "devices", "num_nodes", "strategy")


@dataclass(frozen=True)
class Resumed:
    """A run that goes on.

    Attributes:
        folder: its folder.
        checkpoint: where it goes on from.
        cfg: its configuration, with what the command line changes now.
    """

    folder: RunFolder
    checkpoint: Path
    cfg: DictConfig


def find_resumed(cfg: DictConfig, command: Command) -> Resumed | None:
    """Finds the run that ``resume`` names; None where a new one is to be started.

    A run that was given its folder (a job of a sweep, or run_dir=DIR) goes on with what it finds
    there, so that the same command goes on wherever and however often it was stopped.
    """
    if command.folder is not None:
        return _in_given_folder(cfg, RunFolder(Path(command.folder)))
    if cfg.resume is None:
        return None
    log_dir = Path(cfg.log_dir)
    if cfg.resume == "auto":
        folder = _newest_unfinished(cfg, log_dir)
        if folder is None:
            log.info(
                "resume=auto: no unfinished run of this configuration in %s: a new one", log_dir
            )
            return None
        own = _goes_on(folder)
        for key in ("dry_run", "tags", "notes"):
            own[key] = cfg[key]
        return Resumed(folder, folder.checkpoint(), own)
    folder = RunFolder.find(cfg.resume, log_dir)
    named = str(cfg.resume).endswith(".ckpt")
    checkpoint = Path(cfg.resume).expanduser().resolve() if named else folder.checkpoint()
    return Resumed(folder, checkpoint, _changed(_goes_on(folder), cfg, command, folder))


def _in_given_folder(cfg: DictConfig, folder: RunFolder) -> Resumed | None:
    if cfg.resume is not None:
        raise ConfigError(
            f"resume={cfg.resume} and run_dir={folder.path}: a run goes on with what its run_dir "
            "holds, or with what resume says; give one of them"
        )
    try:
        checkpoint = folder.checkpoint()
    except RunError:  # stopped before its first one, or nothing there at all
        return None
    own = _goes_on(folder)
    differing = different_keys(fingerprint(own), fingerprint(cfg))
    if differing:
        raise ConfigError(
            f"{folder.path}: holds a run of another configuration, which differs in "
            f"{', '.join(differing)}; run_dir=DIR takes another folder"
        )
    for key in ("dry_run", "tags", "notes", "tune"):
        own[key] = cfg[key]
    return Resumed(folder, checkpoint, own)


def different_keys(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Returns the dotted keys in which two configurations differ."""
    one, other = dict(flatten(ours)), dict(flatten(theirs))
    absent = object()
    return sorted(
        key for key in one.keys() | other.keys() if one.get(key, absent) != other.get(key, absent)
    )


def fingerprint(cfg: DictConfig) -> dict[str, Any]:
    """Returns what makes two configurations the same run."""
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    kept = {key: value for key, value in plain.items() if key not in VOLATILE}
    return kept | {"name": str(cfg.name)}  # composed of choices that only Hydra knows


def _goes_on(folder: RunFolder) -> DictConfig:
    cfg = cast(DictConfig, OmegaConf.load(folder.composed))
    cfg.run_dir = str(folder.path)
    return cfg


def _newest_unfinished(cfg: DictConfig, log_dir: Path) -> RunFolder | None:
    wanted = fingerprint(cfg)
    folders = sorted((log_dir / "train").glob("*/[!.]*/composed.yaml"), reverse=True)
    for folder in (RunFolder(path.parent.resolve()) for path in folders):
        if folder.read_summary().get("status") == "completed" or is_locked(folder.path):
            continue
        if not any(
            (folder.checkpoints / f"{kind}.ckpt").is_file() for kind in ("last", "previous")
        ):
            continue
        if fingerprint(cast(DictConfig, OmegaConf.load(folder.composed))) == wanted:
            return folder
    return None


def _changed(own: DictConfig, cfg: DictConfig, command: Command, folder: RunFolder) -> DictConfig:
    """Puts this command line's values over the run's own configuration."""
    chosen = read_choices(folder.path)
    for group, option in command.groups.items():
        if str(chosen.get(group)) == option or _same_parts(own, cfg, group):
            continue
        if group not in EXCHANGEABLE:
            raise ConfigError(
                f"{group}={option}: the run {folder.path} was made with {group}="
                f"{chosen.get(group, _parts(own, group))}, and a resumed run keeps it; start a new "
                "one to change it"
            )
        new = cast(dict[str, Any], OmegaConf.to_container(cfg[group], resolve=False))
        own[group] = {**own[group], **{k: new[k] for k in PLACE}} if group == "trainer" else new
    for key, value in command.values.items():
        if key.split(".")[0] not in ("resume", "run_dir"):
            OmegaConf.update(own, key, value, force_add=True)
    return own


def _parts(cfg: DictConfig, group: str) -> list[str]:
    """Returns the names of what a group given as a list of options holds."""
    return [str(name) for name in cfg[group]] if group in cfg else []


def _same_parts(own: DictConfig, cfg: DictConfig, group: str) -> bool:
    return group in LISTS and set(_parts(own, group)) == set(_parts(cfg, group))


def start_of(resumed: Resumed, model: AdversarialModule, settings: TrainerSettings) -> Path:
    """Returns the checkpoint that a run goes on from, once it is known to fit.

    A run that was stopped between its last step and its end repeats its last stretch from the
    checkpoint before, and so comes to its last evaluation; so does one whose last checkpoint is
    damaged.

    Raises:
        ConfigError: the checkpoint is of another configuration.
        RunError: the checkpoint is damaged or of another architecture, or nothing is left to do.
    """
    choices = [resumed.checkpoint]
    previous = resumed.folder.checkpoints / "previous.ckpt"
    unfinished = resumed.folder.read_summary().get("status") != "completed"
    if unfinished and resumed.checkpoint.name == "last.ckpt" and previous.is_file():
        choices.append(previous)
    for path in choices:
        try:
            checkpoint = AtomicCheckpointIO().load_checkpoint(path)
            assert_fits(checkpoint, model, resumed.cfg, resumed.folder, path)
            assert_goes_on(checkpoint, settings, path)
            return path
        except RunError as error:
            if path == choices[-1]:
                raise
            log.warning("%s\ngoing on from %s", error, choices[-1])
    raise AssertionError("there is always a choice")


def assert_goes_on(checkpoint: dict[str, Any], settings: TrainerSettings, path: Path) -> None:
    """Raises RunError when a run has nothing left to do."""
    step, seconds = checkpoint["progress"]["iteration"], checkpoint["progress"]["seconds"]
    if settings.max_steps != -1 and step >= settings.max_steps:
        raise RunError(
            f"{path}: the run is at step {step} already, and trainer.max_steps="
            f"{settings.max_steps}; give a larger one to train on, such as "
            f"trainer.max_steps={2 * step}"
        )
    if settings.max_seconds is not None and seconds >= settings.max_seconds:
        raise RunError(
            f"{path}: the run has trained for {seconds:.0f} seconds already, and "
            f"trainer.max_seconds={settings.max_seconds:g}; give a larger one to train on, such as "
            f"trainer.max_seconds={2 * math.ceil(seconds)}"
        )
