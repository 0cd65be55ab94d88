"""Validation of a loaded checkpoint's entries, before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.errors import DamagedError, RunError
from ganforge.plain_text import one_line
from ganforge.runs.stored.yaml_files import MOST_DEPTH, MOST_NODES

_NUMBER = (int, float)
_PROGRESS: dict[str, type | tuple[type, ...]] = {
    "iteration": int,
    "images_seen": int,
    "updates": dict,
    "seconds": _NUMBER,
    "lasting": dict,
}
_TRAINING: dict[str, type | tuple[type, ...]] = {  # what Lightning restores at a resume
    "epoch": int,
    "global_step": int,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
}


def assert_of_ganforge(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Checks the entries that every use of a checkpoint needs: weights, config and progress.

    Raises:
        DamagedError: an entry is missing or has a wrong type.
    """
    weights, progress = checkpoint.get("state_dict"), checkpoint.get("progress")
    if not isinstance(weights, dict) or not weights or not isinstance(progress, dict):
        raise DamagedError(f"{path}: not a checkpoint of ganforge")
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise DamagedError(f"{path}: damaged: state_dict[{name!r}] is {_kind(value)}")
    if not isinstance(checkpoint.get("config", {}), dict):
        raise DamagedError(f"{path}: damaged: config is {_kind(checkpoint['config'])}")
    assert_bounded(checkpoint.get("config", {}), path)
    _check(progress, _PROGRESS, path, "progress")
    for name in ("generator", "discriminator"):
        _check(progress["updates"], {name: int}, path, "progress.updates")
    for name in progress["lasting"]:
        _check(progress["lasting"], {name: _NUMBER}, path, "progress.lasting")


def assert_bounded(config: object, path: Path) -> None:
    """Checks that a configuration is no larger and no deeper than one in a run's YAML may be.

    Shared objects count each time, because a few lists can expand to a billion values. Visits no
    more values than the bound.

    Raises:
        DamagedError: it is larger or deeper.
    """
    waiting, seen = [(config, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > MOST_DEPTH or seen + len(waiting) > MOST_NODES:
            raise DamagedError(
                f"{path}: damaged: its configuration has over {MOST_NODES:,} values, or values "
                f"nested more than {MOST_DEPTH} deep"
            )
        if isinstance(value, dict):
            waiting += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, (list, tuple)):
            waiting += [(item, depth + 1) for item in value]


def assert_resumable(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Checks the additional entries that a resumed run needs, such as optimizer states.

    Raises:
        DamagedError: an entry is missing or has a wrong type.
    """
    _check(checkpoint, _TRAINING, path, "")
    if len(checkpoint["optimizer_states"]) != 2:
        raise DamagedError(f"{path}: damaged: it does not contain the state of two optimizers")
    for index, state in enumerate(checkpoint["optimizer_states"]):
        where = f"optimizer_states[{index}]"
        if not isinstance(state, dict):
            raise DamagedError(f"{path}: damaged: {where} is {_kind(state)}")
        _check(state, {"state": dict, "param_groups": list}, path, where)


def assert_same_architecture(model: nn.Module, checkpoint: Mapping[str, Any], path: Path) -> None:
    """Raises RunError, naming the first difference, if names or shapes of weights differ."""
    assert_of_ganforge(checkpoint, path)
    theirs = {name: tuple(t.shape) for name, t in checkpoint["state_dict"].items()}
    ours = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    differing = [n for n in sorted(ours.keys() | theirs.keys()) if ours.get(n) != theirs.get(n)]
    if differing:
        name = differing[0]
        raise RunError(
            f"{path}: contains the weights of another architecture: {one_line(name)} is "
            f"{theirs.get(name, 'absent')} there and {ours.get(name, 'absent')} here "
            f"({len(differing)} such differences)"
        )


def assert_finite(model: nn.Module, checkpoint: Mapping[str, Any], path: Path) -> None:
    """Rejects NaN or infinite weights. ganforge never saves such weights; other programs may.

    Buffers may be infinite, as masks are, but not NaN.

    Raises:
        DamagedError: naming the first such weight, and the number of others.
    """
    weights: dict[str, Tensor] = checkpoint["state_dict"]
    trained = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    faulty = [name for name, value in weights.items() if not _sound(value, name in trained)]
    if faulty:
        raise DamagedError(
            f"{path}: contains weights that are NaN or infinite: {faulty[0]}"
            + (f" and {len(faulty) - 1} more" if len(faulty) > 1 else "")
        )


def _sound(value: Tensor, trained: bool) -> bool:
    if not (value.is_floating_point() or value.is_complex()):
        return True
    return bool(torch.isfinite(value).all() if trained else not torch.isnan(value).any())


def _check(
    entries: Mapping[str, Any],
    wanted: Mapping[str, type | tuple[type, ...]],
    path: Path,
    where: str,
) -> None:
    for name, kind in wanted.items():
        if name not in entries:
            raise DamagedError(f"{path}: damaged: it has no {_dotted(where, name)}")
        if not isinstance(entries[name], kind) or isinstance(entries[name], bool):
            found = _kind(entries[name])
            raise DamagedError(f"{path}: damaged: {_dotted(where, name)} is {found}")


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"
