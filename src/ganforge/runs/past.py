"""Fast reading of many run folders: parses YAML and JSON only, and does not import torch."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ganforge.errors import RunError
from ganforge.paths import is_there, typed_path
from ganforge.regular_files import read_mapping
from ganforge.runs.contents import COMPOSED, FOLDERS, SIGNS, is_run
from ganforge.runs.lock import is_locked
from ganforge.runs.stored.past_summary import read_summary
from ganforge.runs.stored.settling import reads_outside
from ganforge.runs.stored.yaml_files import read_yaml

REMOVING = ".removing-"  # prefix of a folder that is being removed
LATEST = "latest"


@dataclass(frozen=True)
class PastRun:
    """The stored record of a run: configuration, chosen options and summary.

    Attributes:
        path: the run folder.
        settings: the configuration by dotted key, with interpolations unresolved, so that a value
            that refers to another key (``${seed}``) does not count as a setting of its own.
        choices: the options it was composed of, by group.
        summary: summary.json; empty if it is missing or damaged.
    """

    path: Path
    settings: dict[str, Any]
    choices: dict[str, str]
    summary: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> PastRun:
        """Reads a folder found by :func:`find_runs`.

        Raises:
            RunError: its configuration cannot be read.
        """
        settings = _settings(path / COMPOSED)
        if outside := [key for key, value in settings.items() if reads_outside(value)]:
            values = _settings(path / "config.yaml")  # the variable's value, not its name
            settings |= {key: values[key] for key in outside if key in values}
        return cls(path, settings, read_mapping(path / "choices.json"), read_summary(path)[0])

    @property
    def status(self) -> str:
        """completed, running, killed, interrupted, failed or pruned; unknown without a summary.

        A run that is "running" in its summary but whose folder is not locked counts as killed.
        """
        stored = str(self.summary.get("status", "unknown"))
        return "killed" if stored == "running" and not is_locked(self.path) else stored

    @property
    def seed(self) -> Any:
        """The run's seed."""
        return self.settings.get("seed", self.summary.get("seed"))

    @cached_property
    def age(self) -> tuple[float, str]:
        """Sort key by the time of the last write to the summary."""
        summary = self.path / "summary.json"
        return (summary.stat().st_mtime if summary.is_file() else 0.0, str(self.path))

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The resolved configuration by dotted key, read on first access."""
        path = self.path / "config.yaml"
        return _settings(path) if path.is_file() else self.settings

    def setting(self, key: str) -> Any:
        """Returns a group's option (``loss``) or a key's value (``optimizer.generator.lr``).

        For a key that names a part, returns the class name of the part; None for an unknown key.
        """
        if key in self.choices:
            return self.choices[key]
        value = self.settings.get(key)
        if isinstance(value, str) and "${" in value:
            value = self.resolved.get(key)
        if value is None and (target := self.settings.get(f"{key}._target_")) is not None:
            return str(target).rpartition(".")[2]
        return value

    def number(self, name: str) -> float | None:
        """Returns a number from the summary; None if it is absent or not a number."""
        value = self.summary.get(name)
        return float(value) if isinstance(value, (int, float)) else None


def find_runs(patterns: list[str]) -> list[Path]:
    """Returns the run folders that match ``patterns``, and all runs below them.

    Args:
        patterns: run folders, folders of runs such as ``logs/multirun/2026-11-22/13-07-13``, or
            patterns such as ``logs/train/*/*-dcgan-*``.

    Raises:
        RunError: a pattern matches no run.
    """
    folders: dict[Path, None] = {}
    for pattern in patterns:
        runs = [run for path in _matching(pattern) for run in runs_in(path)]
        if not runs:
            raise RunError(f"runs={pattern}: no run folder there or below (one with {COMPOSED})")
        folders |= dict.fromkeys(sorted(run.resolve() for run in runs))
    return list(folders)


def not_removable(patterns: list[str], root: Path) -> dict[Path, str]:
    """Returns the matched runs that must not be removed, each with the reason.

    Links are followed in the literal part of a pattern above the last name, and for ``root``: they
    are the user's path to a disk. A run that is a link, or was reached through a link matched by a
    wildcard, is not removed. A run nested in another run is removed only if a pattern names it.

    Args:
        patterns: as for :func:`find_runs`.
        root: root of all outputs.
    """
    fit: set[Path] = set()
    faults: dict[Path, str] = {}
    for pattern in patterns:
        for path in _matching(pattern):
            same = os.path.abspath(path) == os.path.abspath(root)
            base = path if same else _literal_part(pattern, path)
            for run in runs_in(path):
                if fault := _fault(run, path, base):
                    faults[run.resolve()] = fault
                else:
                    fit.add(run.resolve())
    return {run: fault for run, fault in faults.items() if run not in fit}


def _fault(run: Path, top: Path, base: Path) -> str:
    below = [path for path in (run, *run.parents) if base in path.parents]
    if links := [path for path in below if path.is_symlink()]:
        return f"{links[-1]}: not removed: it is a link; give the run's own path"
    between = [path for path in run.parents if path == top or top in path.parents]
    if outer := [path for path in between if is_run(path)]:
        return f"{run}: not removed: it is inside the run {outer[0]}; runs={run} removes it"
    return ""


def _literal_part(pattern: str, path: Path) -> Path:
    """Returns the part of ``path`` above the pattern's first wildcard, or above its last name."""
    parts = Path(pattern).expanduser().parts
    wild = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    depth = len(path.parts) - 1 if os.path.exists(Path(pattern).expanduser()) else wild
    return Path(*path.parts[:depth])


def common_folder(runs: list[Path]) -> Path:
    """Returns the common parent folder of all runs."""
    return Path(os.path.commonpath([run.parent for run in runs]))


def flatten(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields dotted keys and values of nested mappings; an empty mapping counts as a value."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _matching(pattern: str) -> list[Path]:
    plain = typed_path(pattern)
    # Check for an existing path first: a sweep's job may be named "0-metrics=[fid]", and glob
    # would read the brackets as a character class.
    if os.path.exists(plain):  # unlike Path.exists, False for a name that is too long
        return [plain]
    return [Path(name) for name in sorted(glob.glob(str(plain), recursive=True))]


def runs_in(folder: Path) -> Iterator[Path]:
    """Yields ``folder`` if it is a run, and all runs below it; links (latest) are not followed.

    A folder that contains runs is not itself a run just because of a stray composed.yaml.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # not a folder, not readable, or removed in the meantime
        return
    names = {entry.name for entry in entries}
    # Skip a run's own subfolders: they contain no runs, but perhaps thousands of files.
    skipped = FOLDERS if COMPOSED in names else ()
    below = [
        entry.path
        for entry in entries
        if entry.is_dir(follow_symlinks=False)
        and not entry.name.startswith(REMOVING)
        and entry.name not in skipped
    ]
    nested = (run for path in below for run in runs_in(Path(path)))
    if COMPOSED not in names:
        yield from nested
        return
    inner = list(nested)
    if not inner or names.intersection(SIGNS):
        yield folder
    yield from inner


def _settings(path: Path) -> dict[str, Any]:
    return dict(flatten(read_yaml(path)))


def listed(value: Any) -> list[str]:
    """Returns the items of a value typed as ``[a,b]``, ``a,b`` or ``a``; empty for null."""
    if value is None:
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(item) for item in value]
    # Names of a sweep's jobs contain commas: an existing path is one item, not a list.
    if is_there(str(value)):
        return [str(value)]
    return [item.strip() for item in str(value).split(",") if item.strip()]


def named_paths(value: Any, log_dir: str) -> list[str]:
    """Returns the named folders and patterns; ``log_dir`` for null.

    Args:
        value: run folders, folders of runs or patterns; "latest" is the newest sweep.
        log_dir: root of all outputs.

    Raises:
        RunError: ``value`` is "latest", and there is no sweep yet.
    """
    if value != LATEST:
        return listed(value) or [log_dir]
    root = typed_path(log_dir) / "multirun"
    sweeps = sorted(path for path in root.glob("*/*") if path.is_dir())
    if not sweeps:
        raise RunError(
            f"{LATEST}: there is no sweep under {root}; runs=DIR compares the runs of any folder"
        )
    return [str(sweeps[-1])]
