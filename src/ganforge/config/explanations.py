"""Readable messages for errors of composition: unknown keys, unknown options, wrong syntax."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import get_type_hints

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganforge.config.check import did_you_mean, nested_keys, root_keys
from ganforge.config.command import Command
from ganforge.config.compose import compose_config, options, prepare_hydra
from ganforge.config.quoting import quoted
from ganforge.config.requests import REQUESTS
from ganforge.config.types import describe
from ganforge.paths import conf_dir, typed_path

# Folders in conf/ that are not groups; other programs read them.
NO_GROUPS = {"wandb_sweeps"}
_LISTED = 5  # options in a message
_ABSENT = object()


def explain(error: Exception, verb: str, arguments: list[str]) -> str | None:
    """Returns a readable message for a composition error; None for any other error."""
    text = str(error).strip()
    if isinstance(error, ValueError) and "Config group override must be" in text:
        return _explain_choices(arguments) or text
    if not isinstance(error, (HydraException, OmegaConfBaseException, yaml.YAMLError)):
        return None
    if missing := re.search(r"Could not (?:find|load) '([^']+)'", text):
        return _explain_option(missing[1], text)
    if unknown := re.search(r"Could not override '([^']+)'", text):
        return _explain_key(unknown[1].split("@")[0], verb, arguments, text)
    if unparsed := re.search(r"Error parsing override '([^'=]*)'", text):
        return f"{unparsed[1]!r} is not of the form KEY=VALUE"
    if several := re.search(r"Ambiguous value for argument '([^']*)'", text):
        return f"{several[1]}: several values start a sweep: add -m. A list is KEY=[1,2]"
    typed, hints = (
        re.search(r"Error merging override (\w+)=(.*)", text),
        get_type_hints(REQUESTS[verb]),
    )
    if typed and typed[1] in hints:
        return f"{typed[1]}: must be {describe(hints[typed[1]])}, got {typed[2]!r}"
    cause = f": {error.__cause__}" if error.__cause__ is not None else ""
    return _without_internals(text + cause)


def _explain_option(path: str, text: str) -> str:
    group, slash, option = path.partition("/")
    # Hydra's message also lists the options from other folders of hydra.searchpath.
    listed = [line.strip() for line in text.splitlines() if line.startswith("\t")]
    parent = option.rpartition("/")[0]
    listed = [f"{parent}/{name}" if parent else name for name in listed if "=" not in name]
    legal = list(dict.fromkeys([*options(group), *listed]))
    if not slash:
        return _without_internals(text)
    return f"{group}={option}: no such option; {did_you_mean(option, legal)}"


def _explain_choices(arguments: list[str]) -> str | None:
    """Returns a message for groups set to null or a number instead of an option's name."""
    lines = []
    for group, _, value in (argument.partition("=") for argument in arguments):
        legal = options(group.lstrip("+")) if group else []
        if legal and value not in legal and not value.startswith("["):
            lines.append(f"{group}={value}: not an option's name; {did_you_mean(value, legal)}")
        elif not group:
            lines.append(f"'={value}' is not of the form KEY=VALUE")
    return "\n".join(lines)


def _explain_key(key: str, verb: str, arguments: list[str], text: str) -> str:
    parent, _, name = key.rpartition(".")
    if parent == "hydra.launcher":
        return _explain_launcher(name, verb, arguments)
    if key.startswith("hydra."):
        return f"{key}: Hydra has no such key; +{key}=VALUE adds it where any key is legal"
    if not parent:
        return _explain_root(key, verb, arguments)
    cfg = _composed(verb, arguments)
    if cfg is None:
        return _without_internals(text)
    node = OmegaConf.select(cfg, parent)
    if node is None:
        return _explain_key(parent, verb, arguments, text)
    if not isinstance(node, DictConfig):
        return f"{key}: {parent} has no keys of its own"
    legal = [str(child) for child in node if not str(child).startswith("_")]
    hint = did_you_mean(name, legal)
    group, _, below = key.partition(".")
    if others := _options_with(group, below):
        option = Command.of(cfg).choices.get(group, "null")
        listed = ", ".join(others[:_LISTED]) + (", ..." if len(others) > _LISTED else "")
        return f"{key}: {group}={option} has no such key, unlike {group}={listed}; {hint}"
    return f"{key}: no such key; {hint}"


def _composed(verb: str, arguments: list[str]) -> DictConfig | None:
    """Returns the configuration of the typed options, without typed values; None on an error."""
    chosen = [a for a in arguments if "=" in a and (conf_dir() / a.partition("=")[0]).is_dir()]
    try:
        return compose_config([*_further_folder(arguments), *chosen], verb)
    except Exception:
        return None


def _options_with(group: str, key: str) -> list[str]:
    """Returns the options of a group that have a key, which is dotted if it is nested."""
    if not (conf_dir() / group).is_dir():
        return []
    return [name for name in options(group) if _has(conf_dir() / group / f"{name}.yaml", key)]


def _has(path: Path, key: str) -> bool:
    """Whether a file in conf/, or one that its defaults name, has a key."""
    contents = yaml.safe_load(path.read_text(encoding="utf-8"))
    node = contents
    for name in key.split("."):
        node = node.get(name, _ABSENT) if isinstance(node, dict) else _ABSENT
    if node is not _ABSENT:
        return True
    names = (name for name in contents.get("defaults", []) if isinstance(name, str))
    files = (path.parent / f"{name.partition('@')[0]}.yaml" for name in names if name != "_self_")
    return any(_has(file, key) for file in files if file.is_file())


def _explain_launcher(name: str, verb: str, arguments: list[str]) -> str:
    """Returns a message for an unknown key of the launcher; each launcher has keys of its own."""
    chosen = [a for a in arguments if a.startswith(("hydra/launcher=", "experiment="))]
    prepare_hydra()
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        cfg = compose(
            verb, overrides=[*_further_folder(arguments), *chosen], return_hydra_config=True
        )
    legal = [str(key) for key in cfg.hydra.launcher if not str(key).startswith("_")]
    option = cfg.hydra.runtime.choices["hydra/launcher"]
    fault = f"hydra.launcher.{name}: hydra/launcher={option} has no such key"
    return f"{fault}; {did_you_mean(name, legal)}"


def _explain_root(name: str, verb: str, arguments: list[str]) -> str:
    """Returns a message for a key at the root; the key may be legal but absent from this config."""
    legal = _root_names(verb)
    if name == "hydra":
        typed = next((a for a in arguments if a.lstrip("+~").startswith("hydra.")), name)
        return f"{typed}: Hydra has no such key; +{typed.lstrip('+~')} adds one"
    if name in legal and any(a.startswith(("--config-name", "-cn")) for a in arguments):
        return (
            f"{name}: --config-name selected another configuration than {verb}, which has no such "
            "key; remove --config-name"
        )
    if name in legal:
        return f"{name}: has no keys of its own here; {name}=OPTION selects an option"
    cfg = _composed(verb, arguments)
    keys = nested_keys(cfg, name) if cfg is not None else []
    return f"{name}: no such key; {did_you_mean(name, legal, keys)}"


def _further_folder(arguments: list[str]) -> list[str]:
    """Returns the override equivalent to the flag ``--config-dir DIR`` (or ``-cd DIR``), if any."""
    for flag, folder in itertools.pairwise([*arguments, ""]):
        name, _, value = flag.partition("=")
        if name in ("--config-dir", "-cd"):
            path = typed_path(value or folder).absolute()
            return [f"hydra.searchpath=[{quoted(f'file://{path}')}]"]
    return []


def _root_names(verb: str) -> list[str]:
    groups = {path.name for path in conf_dir().iterdir() if path.is_dir()} - NO_GROUPS
    keys = root_keys(verb)
    return keys + sorted(groups - set(keys)) if verb in ("train", "runs") else keys


def _without_internals(text: str) -> str:
    noise = (
        "full_key:",
        "object_type=",
        "reference_type=",
        "Set the environment variable",
        "Config search path:",
        "provider=",
        "See https://hydra.cc",
    )
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith(noise))
