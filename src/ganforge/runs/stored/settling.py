"""Resolves what a configuration reads from outside: variables, the time, Hydra's choices.

A run is defined by its values at the start. References between keys (``${seed}``) are kept, so that
a dependent key still follows when the other key is changed later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ganforge.config.quoting import quoted
from ganforge.config.types import accepts, hints_of
from ganforge.errors import ConfigError, RunError

# Resolvers whose value depends only on their arguments.
_PURE = {"create", "decode", "deprecated", "dict.keys", "dict.values", "select"}
PURE = {f"oc.{name}" for name in _PURE}
_RESOLVER = re.compile(r"\$\{\s*([A-Za-z_][\w.]*)\s*:")
CLOCK = "now"

Keys = tuple[str, ...]


def settle(cfg: DictConfig) -> dict[str, str]:
    """Replaces expressions that read from outside by their values, in place.

    Values are converted to the expected type: ``seed=${oc.env:SEED}`` with SEED=3 becomes the
    integer 3, like a typed ``seed=3``.

    Args:
        cfg: a configuration as composed.

    Returns:
        The replaced expressions, by dotted key.

    Raises:
        ConfigError: an expression has no value, such as a variable that is not set.
    """
    replaced = {}
    for path, text in outside(cfg):
        key = ".".join(path)
        parent = _parent(cfg, path)
        try:
            value = parent[path[-1]]
        except OmegaConfBaseException as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"{key}={text}: has no value: {reason}") from error
        if OmegaConf.is_config(value):
            value = OmegaConf.to_container(value, resolve=True)
        with open_dict(parent):
            parent[path[-1]] = _converted(parent, path[-1], value)
        replaced[key] = str(text)
    return replaced


def keep_resolved(own: DictConfig, resolved: DictConfig) -> None:
    """Replaces expressions in a stored configuration by the values at the run's start, in place.

    Older runs stored expressions such as ``${oc.env:SEED}``, whose value may have changed since;
    their config.yaml holds the original values.

    Args:
        own: the stored configuration with references between keys.
        resolved: the stored configuration without references.

    Raises:
        RunError: an expression has no stored value.
    """
    for path, text in outside(own):
        value = _select(resolved, path)
        if value is None:
            raise RunError(f"config.yaml contains no value for {'.'.join(path)}={text}")
        _parent(own, path)[path[-1]] = value


def resolved_override(override: str) -> str:
    """Returns an override of a sweep with environment variables replaced by their values.

    ``${now:...}`` is kept: its value differs in every command.
    """
    key, equals, text = override.partition("=")
    plain = text[1:-1] if text[:1] in ("'", '"') and text[-1:] == text[:1] else text
    if not equals or set(_RESOLVER.findall(plain)) - PURE != {"oc.env"} or "," in plain:
        return override
    try:
        value = str(OmegaConf.create({"value": plain}).value)
    except OmegaConfBaseException:  # reported when the job is composed
        return override
    return f"{key}={value}" if re.fullmatch(r"[\w.+/-]+", value) else f"{key}={quoted(value)}"


def outside(cfg: DictConfig) -> list[tuple[Keys, Any]]:
    """Returns paths and unresolved text of values that depend on more than the configuration."""
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    return list(_outside(plain, ()))


def reads_outside(value: Any) -> bool:
    """Whether an unresolved value uses a resolver that depends on more than its arguments."""
    return isinstance(value, (str, list)) and bool(set(_RESOLVER.findall(str(value))) - PURE)


def reads_clock(value: Any) -> bool:
    """Whether an unresolved value uses the ``now`` resolver."""
    return CLOCK in _RESOLVER.findall(str(value))


def _outside(node: dict[str, Any], above: Keys) -> Iterator[tuple[Keys, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _outside(value, (*above, key))
        elif reads_outside(value):
            yield (*above, key), value


def _parent(cfg: DictConfig, path: Keys) -> DictConfig:
    node = cfg
    for key in path[:-1]:
        node = node[key]
    return node


def _select(cfg: DictConfig, path: Keys) -> Any:
    node: Any = cfg
    for key in path:
        if not isinstance(node, DictConfig) or key not in node:
            return None
        node = node[key]
    return node


def _hint(node: DictConfig, key: str) -> Any:
    """Returns the type hint of a constructor's argument; None if it is unknown."""
    from hydra.utils import get_object

    try:
        return hints_of(get_object(node["_target_"])).get(key)
    except Exception:  # no target, or one that cannot be loaded, which is reported elsewhere
        return None


def _converted(parent: DictConfig, key: str, value: Any) -> Any:
    """Returns text parsed as a number, boolean or list, if the constructor's argument needs one."""
    hint = _hint(parent, key)
    if not isinstance(value, str) or hint is None or accepts(hint, value):
        return value
    try:
        read = OverridesParser.create().parse_override(f"key={value}").value()
    except HydraException:
        return value
    return read if accepts(hint, read) else value
