"""Whether two configurations are the same run: by the values that their settings have."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ganforge.config.schemas import TrainSchema
from ganforge.config.signatures import parameters_of
from ganforge.runs.past import flatten

# What may differ between a run's own configuration and the one it is resumed with.
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
# What a new run finds out and stores, and a command leaves open.
FOUND = {"data.class_names": None, "data.num_classes": 0, "data.range": None}
_ABSENT = object()


def different_keys(own: DictConfig, cfg: DictConfig) -> list[str]:
    """Returns the dotted keys whose values tell a configuration from a run's own.

    A key that follows from another one (``${seed}``) is not listed beside it, and one that an older
    run does not have counts as its default.

    Args:
        own: of the run, with settled values.
        cfg: another one, likewise.
    """
    ours, theirs = _settings(own), _settings(cfg)
    left_open = tuple(f"{key}." for key in FOUND if _is_open(key, theirs))
    keys = [key for key in ours.keys() | theirs.keys() if not f"{key}.".startswith(left_open)]
    return [key for key in sorted(keys) if _differs(key, ours, theirs, own, cfg)]


def _is_open(key: str, settings: dict[str, Any]) -> bool:
    if any(name.startswith(f"{key}.") for name in settings):
        return False
    return bool(settings.get(key, FOUND[key]) == FOUND[key])


def _settings(cfg: DictConfig) -> dict[str, Any]:
    """Returns settings by dotted key, with references between keys as they are written."""
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    kept = {key: value for key, value in plain.items() if key not in VOLATILE}
    data = kept.get("data")
    if isinstance(data, dict) and isinstance(data.get("range"), dict) and "found" in data["range"]:
        kept["data"] = data | {"range": None}  # noted by the run, not typed
    return dict(flatten(kept)) | {"name": str(cfg.name)}  # composed of Hydra's choices


def _differs(
    key: str, ours: dict[str, Any], theirs: dict[str, Any], own: DictConfig, cfg: DictConfig
) -> bool:
    one, other = ours.get(key, _ABSENT), theirs.get(key, _ABSENT)
    if one == other or _is_found(key, own, cfg):
        return False
    if one is _ABSENT:
        return bool(other != _default(key, cfg))
    return other is _ABSENT or bool(OmegaConf.select(own, key) != OmegaConf.select(cfg, key))


def _is_found(key: str, own: DictConfig, cfg: DictConfig) -> bool:
    """Whether a run found a value in its data, or reads them by older rules, that nobody typed."""
    if key == "data.layout":
        return True
    found = bool(own.data.get("class_names")) and not cfg.data.get("class_names")
    typed = cfg.data.get("num_classes", 0) != 0
    return found and (key == "data.class_names" or (key == "data.num_classes" and not typed))


def _default(key: str, cfg: DictConfig) -> Any:
    """Returns the default of a key that was introduced after a run was started."""
    if "." not in key:
        return _root_defaults().get(key, _ABSENT)
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, parent)
    return _argument_default(node, name) if isinstance(node, DictConfig) else _ABSENT


def _root_defaults() -> dict[str, Any]:
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(TrainSchema)
    }


def _argument_default(node: DictConfig, name: str) -> Any:
    from hydra.utils import get_object

    try:
        parameter = parameters_of(get_object(node["_target_"]))[0][name]
    except Exception:  # no target, or none that takes it: a fault when the configuration is checked
        return _ABSENT
    return _ABSENT if parameter.default is parameter.empty else parameter.default
