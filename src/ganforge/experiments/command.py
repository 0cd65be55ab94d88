from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ganforge.conf_dir import conf_dir

_KEPT = "_ganforge_command"


@dataclass(frozen=True)
class Command:
    """What was typed.

    Attributes:
        line: the command as typed.
        choices: the chosen option of every group.
        groups: groups among the overrides.
        values: single values among the overrides, by dotted key.
        job: folder for this job of a sweep; None for a single run.
    """

    line: str = ""
    choices: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    job: str | None = None

    @classmethod
    def of(cls, cfg: DictConfig) -> Command:
        """Returns what ``cfg`` was composed from, on the command line or in Python."""
        kept: Command | None = cfg.__dict__.get(_KEPT)
        if kept is not None:
            return kept
        if not HydraConfig.initialized():
            return cls()
        return cls.read(HydraConfig.get(), " ".join(sys.argv))

    @classmethod
    def read(cls, hydra: Any, line: str) -> Command:
        """Reads Hydra's own node of a composition."""
        choices = {str(k): str(v) for k, v in hydra.runtime.choices.items()}
        choices = {k: v for k, v in choices.items() if not k.startswith("hydra/")}
        groups: dict[str, str] = {}
        values: dict[str, Any] = {}
        # As typed: an interpolation among them means the run's configuration, not Hydra's.
        typed = cast(list[str], OmegaConf.to_container(hydra.overrides.task, resolve=False))
        for override in OverridesParser.create().parse_overrides(typed):
            key = override.key_or_group
            if key in choices or _is_group(key):  # Hydra's choices leave out lists of options
                groups[key] = choices.get(key, str(override.value()))
            elif not override.is_delete():
                values[key] = override.value()
        return cls(line, choices, groups, values, _job_folder(hydra))

    def keep(self, cfg: DictConfig) -> None:
        """Ties the command to ``cfg``, beside its keys: a configuration is no place for it."""
        cfg.__dict__[_KEPT] = self


def _is_group(key: str) -> bool:
    return "." not in key and (conf_dir() / key).is_dir()


def _job_folder(hydra: Any) -> str | None:
    if hydra.mode != RunMode.MULTIRUN:
        return None
    overrides = swept(hydra).replace("/", "_")
    return str(Path(hydra.sweep.dir) / f"{hydra.job.num}-{overrides}"[:120].rstrip("-"))


def swept(hydra: Any) -> str:
    """Returns what tells a job of a sweep from the others, such as "loss=hinge,seed=1"."""
    typed = cast(list[str], OmegaConf.to_container(hydra.overrides.task, resolve=False))
    return ",".join(o for o in typed if o not in sys.argv and not o.startswith("~"))


def write_choices(folder: Path, choices: dict[str, str]) -> None:
    """Keeps beside a run which options it was composed of."""
    (folder / "choices.json").write_text(json.dumps(choices, indent=2))


def read_choices(folder: Path) -> dict[str, str]:
    """Returns the options that a run was composed of."""
    path = folder / "choices.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}
