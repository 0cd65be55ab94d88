"""Checkpoints without their run folder, such as copies or downloads from Weights & Biases."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganforge.config.former_names import present_names
from ganforge.errors import DamagedError, RunError
from ganforge.paths import typed_path
from ganforge.plain_text import one_line
from ganforge.runs.folder import CHECKPOINTS, RunFolder
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO
from ganforge.runs.stored.checkpoint_contents import assert_bounded

COMPOSED = "composed.yaml"
RESOLVED = "resolved"  # checkpoint entry: the resolved keys that define a run, and its metrics
MADE_OF = "config"  # checkpoint entry of all versions: the defining keys, unresolved


@dataclass(frozen=True)
class LoneCheckpoint(RunFolder):
    """A stand-in for the run folder of a checkpoint that is separate from its run.

    Attributes:
        path: the default output folder: named after the checkpoint, in the current folder.
        source: the checkpoint, or a folder of checkpoints with their usual names.
    """

    source: Path = Path()

    def checkpoint(self, kind: str = "last") -> Path:
        """Returns the checkpoint of a kind; if ``source`` is a file, always that file.

        Raises:
            RunError: there is no such checkpoint.
        """
        return self.source if self.source.is_file() else super().checkpoint(kind)

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.source.parent if self.source.is_file() else self.source

    def read_summary(self) -> dict[str, Any]:
        """Returns an empty summary: the real one is in the run's folder."""
        return {}

    @property
    def stored_config(self) -> DictConfig:
        """The part of the run's configuration that a checkpoint holds. It is not yet trusted.

        Checkpoints of earlier versions do not hold the metrics.

        Raises:
            DamagedError: all checkpoints are damaged or without a configuration.
        """
        return copy.deepcopy(self._stored_config)

    @cached_property
    def _stored_config(self) -> DictConfig:
        files = [self.source] if self.source.is_file() else _usual(self.source)
        for path in files:
            try:
                return _config_of(path)
            except DamagedError:
                if path == files[-1]:
                    raise
        raise RunError(f"{self.source}: contains no checkpoint")


def _config_of(path: Path) -> DictConfig:
    stored = AtomicCheckpointIO().load_checkpoint(path)
    config = stored.get(RESOLVED, stored.get(MADE_OF))
    if not isinstance(config, dict) or not config:
        raise DamagedError(
            f"{path}: contains no configuration, so its model cannot be rebuilt without the folder "
            "of its run: give run=FOLDER"
        )
    return as_config(config, path)


def find_trained(where: str, log_dir: Path) -> RunFolder:
    """Finds the run folder or standalone checkpoint of a trained model.

    Args:
        where: a run folder, one of its checkpoints, a standalone checkpoint, a folder of
            checkpoints, or "latest".
        log_dir: root of all outputs, in which "latest" is searched.

    Raises:
        RunError: there is none.
    """
    path = typed_path(where)
    if where == "latest" or not path.exists() or (path / COMPOSED).is_file():
        return RunFolder.find(where, log_dir)
    folder = path.resolve().parent if path.is_dir() else path.resolve().parent.parent
    if _is_of_run(path, folder):
        return RunFolder(folder)
    source = next(_sources(path), None)
    if source is None:
        return RunFolder.find(where, log_dir)
    return LoneCheckpoint(Path.cwd() / _name(source), source=source)


def _name(source: Path) -> str:
    """Returns the name for outputs: the checkpoint's, or its folder's for a usual one ("last")."""
    usual = source.is_file() and source.stem in CHECKPOINTS
    folder = source.parent if usual else source
    if folder.is_dir() and folder.name == "checkpoints":
        folder = folder.parent
    return folder.name.removesuffix(".ckpt") or source.stem


def _is_of_run(path: Path, folder: Path) -> bool:
    """Whether ``path`` is the checkpoint folder of the run in ``folder``, or a checkpoint in it."""
    checkpoints = path if path.is_dir() else path.parent
    own = checkpoints.resolve().name == "checkpoints" and (folder / COMPOSED).is_file()
    return own and (path.is_dir() or path.suffix == ".ckpt")


def _sources(path: Path) -> Iterator[Path]:
    """Yields the possible checkpoint sources at a path that is not a run folder, best first."""
    if path.is_file():
        # Links are not resolved: download caches link to files with other names.
        yield from [path.absolute()] if path.suffix == ".ckpt" else []
        return
    yield from (folder.absolute() for folder in (path, path / "checkpoints") if _usual(folder))
    found = [file.absolute() for file in path.glob("*.ckpt") if file.is_file()]
    if len(found) == 1:
        yield found[0]


def _usual(folder: Path) -> list[Path]:
    """Returns the checkpoints in a folder with the usual names, in the order of CHECKPOINTS."""
    files = [folder / f"{kind}.ckpt" for kind in CHECKPOINTS]
    return [file for file in files if file.is_file()]


def as_config(stored: dict[str, Any], path: Path) -> DictConfig:
    """Returns a stored configuration, with its interpolations unresolved.

    Args:
        stored: plain values, which may come from an untrusted file.
        path: path of the checkpoint, for messages.

    Raises:
        DamagedError: it is too large, or not a configuration.
    """
    assert_bounded(stored, path)
    try:
        return cast(DictConfig, OmegaConf.create(present_names(stored)))
    except (OmegaConfBaseException, RecursionError, ValueError, TypeError) as error:
        reason = one_line((str(error).strip() or type(error).__name__).splitlines()[0])
        raise DamagedError(f"{path}: its configuration cannot be read ({reason})") from error


def refuse_resuming(where: str) -> None:
    """Rejects resuming from a standalone checkpoint.

    Raises:
        RunError: ``where`` is a standalone checkpoint, or a folder of them.
    """
    if where not in ("latest", "auto") and isinstance(find_trained(where, Path()), LoneCheckpoint):
        raise RunError(
            f"resume={where}: a checkpoint without the folder of its run, which holds the "
            "configuration and metrics that a resumed run continues. It can be sampled, evaluated "
            "and translated with; to train on, give the run's folder"
        )


def subject_of(folder: RunFolder) -> dict[str, str]:
    """Returns the entry that identifies the run, or its standalone checkpoint, in reports."""
    if isinstance(folder, LoneCheckpoint):
        return {"checkpoint": str(folder.source)}
    return {"run": str(folder.path)}
