"""Applies typed options of config groups to a stored run configuration."""

from __future__ import annotations

from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ganforge.config.command import Command, read_choices
from ganforge.errors import ConfigError
from ganforge.runs.folder import RunFolder
from ganforge.runs.provenance import read

# Groups that may be replaced at a resume: they observe a run or place it on hardware. The others
# define the run.
EXCHANGEABLE = {"trainer", "callbacks", "logger", "metrics", "features"}
# Groups given as lists of options; each option is a separate part.
LISTS = ("regularizer", "metrics")
# Keys that trainer=OPTION changes at a resume; training length and precision stay the run's own.
PLACE = ("accelerator", "devices", "num_nodes", "strategy")


def exchange(own: DictConfig, cfg: DictConfig, command: Command, folder: RunFolder) -> None:
    """Applies the typed options of groups to a run's configuration, in place.

    An option replaces what earlier commands typed inside its group, also if the run has that option
    already: ``trainer=ddp_cpu`` starts two processes after an earlier ``trainer.devices=1``.

    Args:
        own: the run's configuration.
        cfg: composed from the command line.
        command: the parsed command line.
        folder: the run's folder.

    Raises:
        ConfigError: an option would change what defines the run.
    """
    chosen = read_choices(folder.path)
    for group, option in command.groups.items():
        same = str(chosen.get(group)) == option
        if group in LISTS:
            same = same or set(_parts(own, group)) == set(_parts(cfg, group))
        if group not in EXCHANGEABLE:
            if same:
                continue
            raise ConfigError(
                f"{group}={option}: the run {folder.path} was made with {group}="
                f"{chosen.get(group, _parts(own, group))}, and a resumed run keeps it; start a new "
                "one to change it"
            )
        new = cast(dict[str, Any], OmegaConf.to_container(cfg[group], resolve=False))
        if same and not _was_changed(group, folder):
            continue
        if group == "trainer":
            own[group] = {**own[group], **{key: new[key] for key in PLACE}}
        else:
            own[group] = new


def _parts(cfg: DictConfig, group: str) -> list[str]:
    """Returns the names of the parts in a group that is given as a list of options."""
    return [str(name) for name in cfg[group]] if group in cfg else []


def _was_changed(group: str, folder: RunFolder) -> bool:
    """Whether an earlier command typed a key inside a group."""
    sessions = (session.get("overrides") for session in read(folder.path))
    typed = (str(one) for overrides in sessions if isinstance(overrides, list) for one in overrides)
    return any(override.lstrip("+~").startswith(f"{group}.") for override in typed)
