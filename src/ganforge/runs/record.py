"""The configuration of a run in its folder and in its checkpoints, and checks that they agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ganforge import atomic
from ganforge.config.command import Command, read_choices, write_choices
from ganforge.config.former_names import present_names
from ganforge.config.types import parameters_of
from ganforge.data.module import ImageDataModule
from ganforge.errors import ConfigError, RunError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.regular_files import read_json
from ganforge.runs.folder import RunFolder
from ganforge.runs.past import flatten
from ganforge.runs.stored.checkpoint_contents import assert_of_ganforge, assert_same_architecture
from ganforge.runs.stored.config import keep_former_layout, read_stored

# Keys that define a run; the others observe it, or set its hardware and length.
MADE_OF = (
    "seed",
    "data",
    "condition",
    "network",
    "loss",
    "regularizer",
    "optimizer",
    "schedule",
    "augment",
    "model",
)
SCORED_BY = ("metrics", "features")
NAMED = 5  # differences listed in a message
ABSENT = "absent"
CHANGES = "changes.json"


def write_config(cfg: DictConfig, folder: RunFolder, command: Command, new: bool) -> None:
    """Writes a run's configuration into its folder; each file is replaced atomically.

    Changes made at a resume are recorded first, since existing checkpoints hold the old values.

    Raises:
        RunError: the disk is full or not writable.
    """
    chosen = command.choices if new else read_choices(folder.path) | command.groups
    if not new and folder.composed.is_file():
        before = read_stored(folder.composed)
        changed = sorted({*noted_changes(folder.path), *differences(made_of(before), made_of(cfg))})
        if changed:
            _write(folder.path / CHANGES, json.dumps(changed, indent=2))
    _write(folder.composed, OmegaConf.to_yaml(cfg))
    _write(folder.config, OmegaConf.to_yaml(cfg, resolve=True))
    write_choices(folder.path, chosen)


def note_range(cfg: DictConfig, data: ImageDataModule) -> None:
    """Writes the value range found in images of more than 8 bits into a configuration.

    Resuming, evaluating and translating then scale by the same range, even if images are added.
    """
    span = data.range_found()
    if span is not None and "range" in parameters_of(type(data))[0]:
        OmegaConf.update(cfg, "data.range", span, force_add=True)


def noted_changes(run: Path) -> list[str]:
    """Returns the keys, and notes on other changes, recorded when a run was resumed."""
    try:
        entries = read_json(run / CHANGES)
    except (FileNotFoundError, RunError):
        return []
    return [str(entry) for entry in entries] if isinstance(entries, list) else []


def note_change(run: Path, change: str) -> None:
    """Records a change in the run's list of changes made at resumes.

    Raises:
        RunError: the disk is full or not writable.
    """
    _write(run / CHANGES, json.dumps(sorted({*noted_changes(run), change}), indent=2))


def made_of(cfg: DictConfig) -> dict[str, Any]:
    """Returns the keys that define a run, with references between keys unresolved."""
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    return {key: plain[key] for key in MADE_OF if key in plain}


def portable(resolved: dict[str, Any]) -> dict[str, Any]:
    """Returns the configuration stored in a checkpoint, for use without the run's folder.

    Args:
        resolved: the run's resolved configuration, in plain values.
    """
    return {key: resolved[key] for key in (*MADE_OF, *SCORED_BY) if key in resolved}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns the dotted keys whose values differ between two configurations, with both values."""
    one, other = dict(flatten(ours)), dict(flatten(theirs))
    pairs = {key: (one.get(key, ABSENT), other.get(key, ABSENT)) for key in {**one, **other}}
    return {key: pair for key, pair in sorted(pairs.items()) if pair[0] != pair[1]}


def assert_fits(
    checkpoint: dict[str, Any],
    model: AdversarialModule,
    cfg: DictConfig,
    folder: RunFolder,
    path: Path,
) -> None:
    """Rejects a checkpoint that a run cannot resume from.

    Raises:
        ConfigError: it is of another configuration.
        RunError: it is damaged, or holds weights of another architecture.
    """
    assert_of_ganforge(checkpoint, path)
    if "config" in checkpoint:
        checkpoint["config"] = present_names(checkpoint["config"])
    assert_own(checkpoint, cfg, folder, path)
    try:
        assert_same_architecture(model, checkpoint, path)
    except RunError as error:
        found = differences(checkpoint.get("config", {}), made_of(cfg))
        if "config" not in checkpoint or not found:
            raise
        raise RunError(f"{error}: {listed(found)}") from error


def assert_own(checkpoint: dict[str, Any], cfg: DictConfig, folder: RunFolder, path: Path) -> None:
    """Rejects a checkpoint of another run, or of this run with other values.

    Keys changed on the command line at a resume, including the current one, may differ.

    Args:
        checkpoint: the loaded checkpoint; old checkpoints without a configuration pass.
        cfg: the configuration that the run resumes with.
        folder: the run's folder.
        path: path of the checkpoint, for the message.

    Raises:
        ConfigError: naming the keys that differ.
    """
    if "config" not in checkpoint:
        return
    keep_former_layout(checkpoint["config"].get("data"))
    own = read_stored(folder.composed)
    may_differ = {*noted_changes(folder.path), *differences(made_of(own), made_of(cfg))}
    changed = differences(checkpoint["config"], made_of(cfg))
    changed = {key: pair for key, pair in changed.items() if not _is_among(key, may_differ)}
    if changed:
        raise ConfigError(
            f"{path}: is a checkpoint of another configuration: {listed(changed)}. "
            "Resume the run that it belongs to, or start a new one"
        )


def listed(pairs: dict[str, tuple[Any, Any]]) -> str:
    """Returns differences as text: "loss.weight is 1 there and 2 here, ..."."""
    parts = [f"{key} is {there} there and {here} here" for key, (there, here) in pairs.items()]
    more = f" and {len(parts) - NAMED} more" if len(parts) > NAMED else ""
    return ", ".join(parts[:NAMED]) + more


def _is_among(key: str, keys: set[str]) -> bool:
    """Whether a key, or one above or below it, is in ``keys``: a value may become a mapping."""
    return any(f"{key}.".startswith(f"{k}.") or k.startswith(f"{key}.") for k in keys)


def _write(path: Path, text: str) -> None:
    atomic.replace(path, text.encode())
