from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf

from ganforge import atomic
from ganforge.config.job_names import distinguishing, job_folder, sweep_of
from ganforge.paths import conf_dir, typed_path
from ganforge.redaction import training_line
from ganforge.regular_files import read_mapping

_ATTRIBUTE = "_ganforge_command"


@dataclass(frozen=True)
class Command:
    """The command that a configuration was composed from.

    Attributes:
        line: the command as typed.
        choices: the selected option of every group.
        groups: overrides of groups: group to option.
        values: overrides of single values, by dotted key.
        job: folder of this job of a sweep; None for a single run.
        folder: folder set for this run (run_dir=DIR), by its sweep or by the user.
        typed: every override as typed.
        config_dirs: folders with the user's own options (``--config-dir``, ``hydra.searchpath``).
    """

    line: str = ""
    choices: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    job: str | None = None
    typed: list[str] = field(default_factory=list)
    folder: str | None = None
    config_dirs: list[Path] = field(default_factory=list)

    @classmethod
    def of(cls, cfg: object) -> Command:
        """Returns the command that a configuration or request comes from."""
        attached: Command | None = cfg.__dict__.get(_ATTRIBUTE)
        if attached is not None:
            return attached
        if not HydraConfig.initialized():
            return cls()
        return cls.read(HydraConfig.get(), training_line(sys.argv), getattr(cfg, "run_dir", None))

    @classmethod
    def read(cls, hydra: Any, line: str, run_dir: str | None = None) -> Command:
        """Returns the command described by the ``hydra`` node of a composed configuration.

        Args:
            hydra: the node.
            line: the command as typed.
            run_dir: the resolved ``run_dir``, used if it was typed with an interpolation.
        """
        choices = {str(k): str(v) for k, v in hydra.runtime.choices.items()}
        choices = {k: v for k, v in choices.items() if not k.startswith("hydra/")}
        groups: dict[str, str] = {}
        values: dict[str, Any] = {}
        # Unresolved: interpolations in overrides refer to the run's configuration, not to Hydra's.
        typed = cast(list[str], OmegaConf.to_container(hydra.overrides.task, resolve=False))
        for override in OverridesParser.create().parse_overrides(typed):
            key = override.key_or_group
            # Hydra's choices omit lists of options.
            if key in choices or ("." not in key and (conf_dir() / key).is_dir()):
                groups[key] = choices.get(key, str(override.value()))
            elif not override.is_delete():
                values[key] = override.value()
        path = values.pop("run_dir", None)
        if path is not None and "${" in str(path):
            path = run_dir
        elif path is None and hydra.mode == RunMode.RUN and str(hydra.run.dir) != ".":
            path = hydra.run.dir  # set in a configuration file
        folder = None if path is None else str(typed_path(str(path)).absolute())
        job = folder if folder is not None and sweep_of(Path(folder)) is not None else None
        if folder is None:
            job = _job_folder(hydra)
        return cls(line, choices, groups, values, job, typed, folder, _config_dirs(hydra))

    def keep(self, cfg: object) -> None:
        """Attaches the command to the object ``cfg`` without adding a key to the configuration."""
        cfg.__dict__[_ATTRIBUTE] = self


def _config_dirs(hydra: Any) -> list[Path]:
    sources = hydra.runtime.get("config_sources") or []
    own = (s for s in sources if s.schema == "file" and Path(s.path) != conf_dir())
    return [Path(s.path) for s in own if s.provider == "command-line" or "searchpath" in s.provider]


def _job_folder(hydra: Any) -> str | None:
    if hydra.mode != RunMode.MULTIRUN or OmegaConf.is_missing(hydra.job, "num"):
        return None  # job.num is missing in Python, for a search that is composed but not run
    typed = cast(list[str], OmegaConf.to_container(hydra.overrides.task, resolve=False))
    return str(Path(hydra.sweep.dir) / job_folder(hydra.job.num, distinguishing(typed)))


def write_choices(folder: Path, choices: dict[str, str]) -> None:
    """Writes the selected option of every group to choices.json in a run folder."""
    atomic.replace(folder / "choices.json", json.dumps(choices, indent=2).encode())


def read_choices(folder: Path) -> dict[str, str]:
    """Returns the options from a run's choices.json; empty if the file is missing or damaged."""
    return {key: str(option) for key, option in read_mapping(folder / "choices.json").items()}
