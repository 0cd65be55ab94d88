"""Composition of configurations from overrides."""

from __future__ import annotations

import contextlib
import copy
import functools
import re
import types
from collections.abc import Iterator
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict

from ganforge.config.arguments import on_run
from ganforge.config.check import register_schemas
from ganforge.config.command import Command
from ganforge.paths import conf_dir
from ganforge.redaction import redacted_line


@functools.cache
def prepare_hydra() -> None:
    """Registers the schemas, and makes Hydra compose in half the time.

    Hydra deep-copies its configuration sources for each composition, although it only exchanges
    the list of them. OmegaConf parses YAML files in Python, although libyaml gives the same result.
    Neither is a public interface: versions without these names run as they are.
    """
    from hydra._internal import config_repository
    from omegaconf import _utils

    register_schemas()
    if sources := getattr(config_repository, "ConfigRepository", None):
        sources.__deepcopy__ = lambda repository, memo: copy.copy(repository)
    if hasattr(yaml, "CSafeLoader") and hasattr(_utils, "yaml"):
        quick = types.SimpleNamespace(**{**vars(yaml), "SafeLoader": yaml.CSafeLoader})
        vars(_utils)["yaml"] = quick


def compose_config(overrides: list[str], verb: str = "train") -> DictConfig:
    """Composes a configuration as the command line would, for use in Python.

    Args:
        overrides: overrides such as ``["model=wgan_gp", "data=mnist"]``.
        verb: name of the root file in conf/.
    """
    prepare_hydra()
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        cfg = compose(verb, overrides=on_run(overrides, verb), return_hydra_config=True)
    line = redacted_line(["ganforge", verb, *overrides])
    command = Command.read(cfg.hydra, line, cfg.get("run_dir"))
    choices = cfg.hydra.runtime.choices
    with open_dict(cfg):
        del cfg["hydra"]
        if verb == "train" and OmegaConf.is_interpolation(cfg, "name"):
            cfg.name = f"{choices.model}-{choices.data}"
    command.keep(cfg)
    return cfg


def requested(cfg: DictConfig) -> Any:
    """Returns the request that a configuration of another verb than train was composed for."""
    command = Command.of(cfg)
    request = OmegaConf.to_object(cfg)
    command.keep(request)
    return request


@contextlib.contextmanager
def composed_once(verb: str, arguments: list[str], sweeping: bool) -> Iterator[None]:
    """Makes Hydra compose the configuration of a single run once, instead of twice.

    To find out whether the configuration asks for a sweep, Hydra composes it before it runs. Only
    an experiment, a setting of Hydra's own (also in the root file) or a further configuration
    folder can ask for one.
    """
    from hydra._internal.hydra import Hydra

    may_sweep = re.compile(r"[+~]*(experiment|hydra|tune)\b|-")
    root = (conf_dir() / f"{verb}.yaml").read_text(encoding="utf-8")
    if sweeping or "MULTIRUN" in root or any(map(may_sweep.match, arguments)):
        yield
        return
    get_mode = Hydra.get_mode
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = get_mode  # type: ignore[method-assign]


def options(group: str) -> list[str]:
    """Returns the names of a group's options; in a subfolder they are ``folder/option``."""
    folder = conf_dir() / group
    files = sorted(folder.rglob("*.yaml"))
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in files]
    return [name for name in names if not name.startswith("base/")]
