from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ganforge.errors import ConfigError, RunError
from ganforge.experiments.command import Command, read_choices
from ganforge.experiments.run_folder import RunFolder

# What may differ between a run's own configuration and the one it is resumed with.
VOLATILE = ("resume", "run_dir", "dry_run", "log_dir", "tags", "notes")
# Groups that watch a run or say where it computes; the others make it what it is.
EXCHANGEABLE = {"trainer", "callbacks", "logger", "metrics", "features", "experiment", "debug"}


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
    """Finds the run that ``resume`` names; None where a new one is to be started."""
    if cfg.resume is None:
        return None
    log_dir = Path(cfg.log_dir)
    if cfg.resume == "auto":
        folder = _newest_unfinished(cfg, log_dir)
        return None if folder is None else Resumed(folder, folder.checkpoint(), _goes_on(folder))
    folder = RunFolder.find(cfg.resume, log_dir)
    named = str(cfg.resume).endswith(".ckpt")
    checkpoint = Path(cfg.resume).expanduser().resolve() if named else folder.checkpoint()
    return Resumed(folder, checkpoint, _changed(_goes_on(folder), cfg, command, folder))


def fingerprint(cfg: DictConfig) -> dict[str, Any]:
    """Returns what makes two configurations the same run."""
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    return {key: value for key, value in plain.items() if key not in VOLATILE}


def _goes_on(folder: RunFolder) -> DictConfig:
    cfg = cast(DictConfig, OmegaConf.load(folder.composed))
    cfg.run_dir = str(folder.path)
    return cfg


def _newest_unfinished(cfg: DictConfig, log_dir: Path) -> RunFolder | None:
    wanted = fingerprint(cfg)
    folders = sorted((log_dir / "train").glob("*/*/composed.yaml"), reverse=True)
    for folder in (RunFolder(path.parent.resolve()) for path in folders):
        if folder.read_summary().get("status") == "completed":
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
        if str(chosen.get(group)) == option:
            continue
        if group.split("/")[0] not in EXCHANGEABLE:
            raise ConfigError(
                f"{group}={option}: the run {folder.path} was made with {group}="
                f"{chosen.get(group)}, and a resumed run keeps it; start a new one to change it"
            )
        if group in cfg:
            own[group] = OmegaConf.to_container(cfg[group], resolve=False)
    for key, value in command.values.items():
        if key.split(".")[0] not in ("resume", "run_dir"):
            OmegaConf.update(own, key, value, force_add=True)
    return own


def assert_goes_on(checkpoint: dict[str, Any], max_steps: int, path: Path) -> None:
    """Raises RunError when a run has nothing left to do."""
    step = checkpoint["progress"]["iteration"]
    if max_steps != -1 and step >= max_steps:
        raise RunError(
            f"{path}: the run is at step {step} already, and trainer.max_steps={max_steps}; give a "
            f"larger one to train on, such as trainer.max_steps={2 * step}"
        )
