"""Validation of configurations: the root's keys, and the arguments of every constructor.

Importing this module imports neither torch nor lightning.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, cast

from hydra.core.config_store import ConfigStore
from omegaconf import AnyNode, DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from ganforge.config.former_names import present_name
from ganforge.config.needs import check_data, check_inputs, check_labels, declared
from ganforge.config.requests import KEYWORDS, REQUESTS
from ganforge.config.types import accepts, describe, hints_of, parameters_of
from ganforge.config.values import number_faults
from ganforge.config.wandb_names import NAME_KEYS, name_faults
from ganforge.errors import ConfigError

HYDRA_KEYS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def register_schemas() -> None:
    """Registers the schemas in Hydra's config store as ``train_schema`` and so on."""
    for verb, schema in REQUESTS.items():
        node = OmegaConf.structured(schema)
        with open_dict(node):
            for key in KEYWORDS.get(verb, []):
                node[key] = AnyNode(None)
        ConfigStore.instance().store(name=f"{verb}_schema", node=node)


def root_keys(verb: str) -> list[str]:
    """Returns the legal keys at the root of a verb's configuration."""
    return [f.name for f in fields(REQUESTS[verb])] + KEYWORDS.get(verb, [])


def did_you_mean(name: str, legal: list[str], meant: Sequence[str] = ()) -> str:
    """Returns a hint for messages: the closest legal name, if any, and the list of all names.

    Args:
        name: the wrong name.
        legal: the legal names.
        meant: names that are closer than any legal one.
    """
    near = meant or difflib.get_close_matches(name, legal, n=1, cutoff=0.6)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{hint}legal: {', '.join(legal) or 'nothing'}"


def nested_keys(cfg: DictConfig, name: str) -> list[str]:
    """Returns the dotted keys of a configuration that end in ``name``, but not ``name`` itself."""
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    return [f"{key}.{name}" for key, node in _nodes(plain, "") if name in node]


def _nodes(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, child in node.items():
        if isinstance(child, dict):
            yield f"{path}{key}", child
            yield from _nodes(child, f"{path}{key}.")


def check_root(cfg: DictConfig, verb: str) -> None:
    """Refuses unknown root keys, infinite numbers, NaN, and seeds out of range.

    The schema alone is not enough: ``+KEY=VALUE`` bypasses it.

    Raises:
        ConfigError: the message lists every unknown key, or every such number.
    """
    legal = root_keys(verb)
    unknown = [str(key) for key in cfg if key not in legal]
    if unknown:
        hints = {key: did_you_mean(key, legal, nested_keys(cfg, key)) for key in unknown}
        lines = [f"  {key}: {hint}" for key, hint in hints.items()]
        raise ConfigError("unknown keys:\n" + "\n".join(lines))
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    if faults := number_faults(plain):
        raise ConfigError("\n".join(faults))


def check(cfg: DictConfig) -> None:
    """Checks every ``_target_`` against its constructor's signature and type annotations.

    Raises:
        ConfigError: all faults in one message.
    """
    if "model" in cfg and "data" in cfg:
        check_inputs(cfg)  # first: without inputs, many of the other checks would fail too
        check_data(cfg, declared(cfg.model, "needs") - {"labels"})
    used = set(re.findall(r"\$\{([\w.]+)\}", OmegaConf.to_yaml(cfg, resolve=False)))
    if "model" in cfg and "inputs" in declared(cfg.model, "needs"):
        used |= {f"condition.{key}" for key in cfg.condition}  # check_inputs requires "none"
    faults = [
        fault
        for group in cfg
        if isinstance(_raw(cfg, group), DictConfig)
        for fault in _faults(_raw(cfg, group), str(group), used)
    ] + _wandb_faults(cfg)
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ConfigError(f"{count} in the configuration:\n" + "\n".join(f"  {f}" for f in faults))
    if "model" in cfg and "data" in cfg:
        check_labels(cfg)


def unseeded(cfg: DictConfig) -> list[str]:
    """Returns which of ``model`` and ``data`` take a seed that the configuration does not set.

    Their random draws, such as the order of the images, would be the same for every seed.
    """
    from hydra.utils import get_object

    groups = [group for group in ("model", "data") if "seed" not in cfg[group]]
    return [
        group for group in groups if "seed" in parameters_of(get_object(cfg[group]._target_))[0]
    ]


def _wandb_faults(cfg: DictConfig) -> list[str]:
    node = OmegaConf.select(cfg, "logger.wandb")
    if not isinstance(node, DictConfig):
        return []
    try:
        settings = {key: node.get(key) for key in NAME_KEYS}
    except OmegaConfBaseException:  # a bad interpolation, which is reported separately
        return []
    return name_faults(settings)


def _raw(node: DictConfig | ListConfig, key: Any) -> Any:
    """Returns a child; None if it is missing, or an interpolation (its target is checked)."""
    if OmegaConf.is_interpolation(node, key):
        return None
    return None if OmegaConf.is_missing(node, key) else node[key]


def _faults(node: DictConfig, path: str, used: set[str]) -> Iterator[str]:
    if "_target_" in node:
        yield from _signature_faults(node, path)
    elif _holds_parts(node) and (stray := _stray(node, path, used)):
        # If none of a part's values is used, the part's own name is most likely misspelled.
        whole = "." in path and len(stray) == len(node)
        for at in [path] if whole else [f"{path}.{key}" for key in stray]:
            yield f"{at}: is not passed to any constructor; {_neighbors(node, at, path)}"
    for key in node:
        child = _raw(node, key)
        if isinstance(child, DictConfig):
            yield from _faults(child, f"{path}.{key!s}", used)


def _stray(node: DictConfig, path: str, used: set[str]) -> list[str]:
    """Returns the keys of plain values in a group of parts that no interpolation refers to."""
    plain = [key for key in node if not isinstance(_raw(node, key), (DictConfig, ListConfig))]
    values = [str(key) for key in plain if _raw(node, key) is not None]
    return [key for key in values if f"{path}.{key}" not in used]


def _neighbors(node: DictConfig, at: str, path: str) -> str:
    owner = node._get_parent() if at == path else node
    name = at.rpartition(".")[2]
    return did_you_mean(name, [str(key) for key in cast(DictConfig, owner) if key != name])


def _holds_parts(node: DictConfig) -> bool:
    """Whether a node is a group of named parts rather than a mapping passed as an argument."""
    parent = node._get_parent()
    return not (isinstance(parent, DictConfig) and "_target_" in parent)


def _signature_faults(node: DictConfig, path: str) -> Iterator[str]:
    from hydra.utils import get_object

    target = node["_target_"]
    try:
        function = get_object(target)
        parameters, open_ended = parameters_of(function)
    except Exception as error:
        if (now := present_name(target)) != target:
            yield f"{path}._target_: {target} has been renamed to {now}"
            return
        # Hydra's first line only repeats the name.
        reason = next(iter(str(error).splitlines()[1:] or [str(error) or type(error).__name__]))
        hint = "; PYTHONPATH=DIR adds your own modules" if "No module named" in reason else ""
        yield f"{path}._target_: cannot load {target!r} ({reason}){hint}"
        return
    keys = [str(key) for key in node if key not in HYDRA_KEYS]
    for key in keys:
        if key not in parameters and not open_ended:
            yield f"{path}.{key}: {target} takes no {key!r}; {did_you_mean(key, list(parameters))}"
    if not node.get("_partial_", False):
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty and name not in keys:
                yield f"{path}.{name}: {target} needs it"
    yield from _type_faults(node, path, function, [key for key in keys if key in parameters])


def _type_faults(node: DictConfig, path: str, function: Any, keys: list[str]) -> Iterator[str]:
    try:
        hints = hints_of(function)
    except Exception:
        return
    for key in keys:
        if OmegaConf.is_missing(node, key):
            yield f"{path}.{key}: is missing"
            continue
        try:
            value = node[key]
            if key not in hints or accepts(hints[key], value):
                continue
        except InterpolationKeyError as error:
            yield f"{path}.{key}: {str(error).splitlines()[0]}"
        else:
            yield f"{path}.{key}: must be {describe(hints[key])}, got {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, DictConfig) and "_target_" in value:
        return str(value["_target_"])
    return repr(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)
