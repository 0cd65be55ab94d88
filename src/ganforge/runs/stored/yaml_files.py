"""Reading the YAML files of a run folder, which may be damaged or untrusted."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import yaml  # type: ignore[import-untyped, unused-ignore]
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganforge.config.former_names import present_names
from ganforge.errors import RunError
from ganforge.regular_files import read_regular

# libyaml's parser is ten times as fast, but PyYAML may have been built without it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_BYTES = 4 * 2**20
MOST_DEPTH = 100  # libyaml's loader recurses in C and crashes the process at about 10,000
MOST_NODES = 100_000  # with aliases expanded: ten lines of aliases can expand to a billion nodes


def read_yaml(path: Path) -> dict[str, Any]:
    """Returns the mapping in a YAML file of a run, as plain values.

    Raises:
        RunError: the file cannot be read, is damaged, or is too large or too deeply nested. The
            message names the file.
    """
    try:
        mapping = yaml.load(_checked(path), LOADER)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error
    if not isinstance(mapping, dict):
        raise RunError(f"{path}: damaged (it contains no mapping)")
    return cast(dict[str, Any], present_names(mapping))


def read_config(path: Path) -> DictConfig:
    """Returns the configuration in a run's ``composed.yaml`` or ``config.yaml``.

    Interpolations are not resolved.

    Raises:
        RunError: as in :func:`read_yaml`.
    """
    try:
        cfg = OmegaConf.load(io.StringIO(_checked(path)))
        stored = OmegaConf.to_container(cfg)
        if isinstance(cfg, DictConfig) and (present := present_names(stored)) != stored:
            cfg = OmegaConf.create(present)
    except (
        yaml.YAMLError,
        OmegaConfBaseException,
        ValueError,
        TypeError,
        RecursionError,
        OSError,
    ) as error:
        raise _damaged(path, error) from error
    if not isinstance(cfg, DictConfig) or not cfg:
        raise RunError(f"{path}: damaged (it contains no mapping)")
    return cfg


def _checked(path: Path) -> str:
    """Returns the text of a YAML file after checking its size with all aliases expanded."""
    try:
        text = read_regular(path, MOST_BYTES).decode()
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise _damaged(path, error) from error
    try:
        _check_size(text)
    except (yaml.YAMLError, ValueError) as error:
        raise _damaged(path, error) from error
    return text


def _check_size(text: str) -> None:
    """Counts nodes from parser events, without building them.

    Raises:
        ValueError: there are too many nodes, or they are nested too deeply.
    """
    sizes: dict[str, int] = {}  # nodes below each anchor
    nodes, open_anchors = 0, list[tuple[str | None, int]]()
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"*{event.anchor} refers to itself or to nothing")
            nodes += sizes[event.anchor]
        elif isinstance(event, yaml.NodeEvent):
            nodes += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_anchors.append((event.anchor, nodes))
            elif event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_anchors.pop()
            if anchor:
                sizes[anchor] = nodes - before + 1
        if nodes > MOST_NODES or len(open_anchors) > MOST_DEPTH:
            raise ValueError("it contains more values, or deeper ones, than a run's configuration")


def _damaged(path: Path, error: Exception) -> RunError:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return RunError(f"{path}: damaged ({reason[0]})")
