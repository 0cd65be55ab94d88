"""Composing a configuration from overrides, and telling in plain words why it failed."""

from __future__ import annotations

import re
from dataclasses import fields

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ganforge.conf_dir import conf_dir
from ganforge.config import SCHEMAS, did_you_mean, register_schemas


def compose_config(overrides: list[str], verb: str = "train") -> DictConfig:
    """Composes a configuration as the command line would, for use in Python.

    Args:
        overrides: such as ``["model=wgan_gp", "data=mnist"]``.
        verb: root file in conf/.
    """
    register_schemas()
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        cfg = compose(verb, overrides=overrides, return_hydra_config=True)
    choices = cfg.hydra.runtime.choices
    with open_dict(cfg):
        del cfg["hydra"]
        if verb == "train" and OmegaConf.is_interpolation(cfg, "name"):
            cfg.name = f"{choices.model}-{choices.data}"
    return cfg


def explain(error: Exception, verb: str, arguments: list[str]) -> str | None:
    """Returns a message for an error of composition, or None when the error is another one."""
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        return None
    text = str(error).strip()
    wanted = re.search(r"Could not override '([^']+)'", text)
    missing = re.search(r"Could not find '([^']+)'", text)
    if missing:
        return _explain_option(missing.group(1), text)
    if wanted:
        return _explain_key(wanted.group(1).split("@")[0], verb, arguments, text)
    cause = f": {error.__cause__}" if error.__cause__ is not None else ""
    return _without_internals(text + cause)


def _explain_option(path: str, text: str) -> str:
    group, _, option = path.rpartition("/")
    listed = [line.strip() for line in text.splitlines() if line.startswith("\t")]
    legal = sorted(line for line in listed if "=" not in line)
    if not group or not legal:
        return _without_internals(text)
    return f"{group}={option}: no such option; {did_you_mean(option, legal)}"


def _explain_key(key: str, verb: str, arguments: list[str], text: str) -> str:
    parent, _, name = key.rpartition(".")
    if not parent:
        return f"{key}: no such key; {did_you_mean(name, _root_names(verb))}"
    others = [a for a in arguments if "=" in a and not a.lstrip("+~").startswith(key)]
    try:
        node = OmegaConf.select(compose_config(others, verb), parent)
    except Exception:
        return _without_internals(text)
    if not isinstance(node, DictConfig):
        return f"{key}: {parent} has no keys of its own"
    legal = [str(child) for child in node if not str(child).startswith("_")]
    return f"{key}: no such key; {did_you_mean(name, legal)}"


def _root_names(verb: str) -> list[str]:
    groups = {path.name for path in conf_dir().iterdir() if path.is_dir()}
    keys = [f.name for f in fields(SCHEMAS[verb])]
    return keys + sorted(groups - set(keys)) if verb == "train" else keys


def _without_internals(text: str) -> str:
    noise = ("full_key:", "object_type=", "reference_type=", "Set the environment variable")
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith(noise))
