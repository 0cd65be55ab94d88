"""Compares two configurations by value, to tell whether they describe the same run."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ganforge.config.requests import TrainRequest
from ganforge.config.types import parameters_of
from ganforge.runs.past import flatten

# Keys that may differ between a run's own configuration and the one it is resumed with.
VOLATILE = (
    "resume",
    "resume_allow",
    "trust",
    "run_dir",
    "dry_run",
    "log_dir",
    "tags",
    "notes",
    "tune",
)
# Values that a new run infers from its data and stores, with what they are when left open.
FOUND = {"data.class_names": None, "data.num_classes": 0, "data.range": None}
# How often a run saves. Runs older than the last of these keys had another default.
INTERVALS = ("callbacks.checkpoints.every_n_steps", "callbacks.checkpoints.every_minutes")
_ABSENT = object()


def different_keys(own: DictConfig, cfg: DictConfig) -> list[str]:
    """Returns the dotted keys whose values differ between a configuration and a run's own.

    A key that refers to another key (``${seed}``) is not listed in addition to it. A key that an
    older run does not have counts as having its default. The intervals of the checkpoints of runs
    from before ``every_minutes`` are not compared.

    Args:
        own: the run's configuration, with resolved values.
        cfg: the configuration to compare, with resolved values.
    """
    ours, theirs = _settings(own), _settings(cfg)
    if INTERVALS[-1] not in ours:
        ours, theirs = ({k: v for k, v in s.items() if k not in INTERVALS} for s in (ours, theirs))
    left_open = tuple(f"{key}." for key in FOUND if _is_open(key, theirs))
    keys = [key for key in ours.keys() | theirs.keys() if not f"{key}.".startswith(left_open)]
    return [key for key in sorted(keys) if _differs(key, ours, theirs, own, cfg)]


def _is_open(key: str, settings: dict[str, Any]) -> bool:
    if any(name.startswith(f"{key}.") for name in settings):
        return False
    return bool(settings.get(key, FOUND[key]) == FOUND[key])


def _settings(cfg: DictConfig) -> dict[str, Any]:
    """Returns settings by dotted key, with references between keys unresolved."""
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    kept = {key: value for key, value in plain.items() if key not in VOLATILE}
    data = kept.get("data")
    if isinstance(data, dict) and isinstance(data.get("range"), dict) and "found" in data["range"]:
        kept["data"] = data | {"range": None}  # measured by the run, not typed
    # The name is compared by value: it may be composed from Hydra's choices.
    return dict(flatten(kept)) | {"name": str(cfg.name)}


def _differs(
    key: str, ours: dict[str, Any], theirs: dict[str, Any], own: DictConfig, cfg: DictConfig
) -> bool:
    # Compare as written first: equal references are equal, even if their targets differ, since the
    # target is then listed itself.
    one, other = ours.get(key, _ABSENT), theirs.get(key, _ABSENT)
    if one == other or _is_found(key, own, cfg):
        return False
    if one is _ABSENT:
        return bool(other != _default(key, cfg))
    return other is _ABSENT or bool(OmegaConf.select(own, key) != OmegaConf.select(cfg, key))


def _is_found(key: str, own: DictConfig, cfg: DictConfig) -> bool:
    """Whether a value was not typed: inferred from the data, or the data layout of an older run."""
    if key == "data.layout":
        return True
    # Set by keep_former_devices.
    if key == "trainer.strategy" and "tf32" not in (own.get("trainer") or {}):
        return True
    found = bool(own.data.get("class_names")) and not cfg.data.get("class_names")
    typed = cfg.data.get("num_classes", 0) != 0
    return found and (key == "data.class_names" or (key == "data.num_classes" and not typed))


def _default(key: str, cfg: DictConfig) -> Any:
    """Returns the default of a key that was introduced after the run was started."""
    if "." not in key:
        return _root_defaults().get(key, _ABSENT)
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, parent)
    return _argument_default(node, name) if isinstance(node, DictConfig) else _ABSENT


def _root_defaults() -> dict[str, Any]:
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(TrainRequest)
    }


def _argument_default(node: DictConfig, name: str) -> Any:
    from hydra.utils import get_object

    try:
        parameter = parameters_of(get_object(node["_target_"]))[0][name]
    except Exception:  # no target, or no such argument: reported when the configuration is checked
        return _ABSENT
    return _ABSENT if parameter.default is parameter.empty else parameter.default
