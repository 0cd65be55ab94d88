"""A checkpoint without the folder of its run: downloaded from Weights & Biases, or copied."""

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

COMPOSED = "composed.yaml"
RESOLVED = "resolved"  # entry of a checkpoint: what its run was made of and scored by, as values
MADE_OF = "config"  # the same with interpolations, in checkpoints of every version
MOST_VALUES = 100_000  # shared parts count each time: a few lists can stand for a billion values


@dataclass(frozen=True)
class LoneCheckpoint(RunFolder):
    """What can be read of a run when only its checkpoints are there.

    Attributes:
        path: where outputs go by default: a folder of its name in the current one.
        source: the checkpoint, or a folder of checkpoints under their usual names.
    """

    source: Path = Path()

    def checkpoint(self, kind: str = "last") -> Path:
        """Returns the checkpoint of a kind; a single file is all there is, whatever ``kind``.

        Raises:
            RunError: when there is none.
        """
        return self.source if self.source.is_file() else super().checkpoint(kind)

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.source.parent if self.source.is_file() else self.source

    def read_summary(self) -> dict[str, Any]:
        """Returns nothing: the summary is in the run's folder."""
        return {}

    @property
    def stored_config(self) -> DictConfig:
        """The run's configuration as far as a checkpoint holds it; not yet known to be harmless.

        Checkpoints of earlier versions hold no metrics.

        Raises:
            DamagedError: all checkpoints are damaged or hold no configuration.
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
        raise RunError(f"{self.source}: holds no checkpoint")


def _config_of(path: Path) -> DictConfig:
    stored = AtomicCheckpointIO().load_checkpoint(path)
    found = stored.get(RESOLVED, stored.get(MADE_OF))
    if not isinstance(found, dict) or not found:
        raise DamagedError(
            f"{path}: holds no configuration, so its model cannot be rebuilt without the folder "
            "of its run: give run=FOLDER"
        )
    return as_config(found, path)


def find_trained(where: str, log_dir: Path) -> RunFolder:
    """Finds what a verb reads a trained model from.

    Args:
        where: a run folder, one of its checkpoints, a checkpoint on its own, a folder of
            checkpoints, or "latest".
        log_dir: where "latest" is looked up.

    Raises:
        RunError: when there is none.
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
    """Returns what outputs are named after: the checkpoint, or its folder if that says more."""
    usual = source.is_file() and source.stem in CHECKPOINTS
    folder = source.parent if usual else source
    if folder.is_dir() and folder.name == "checkpoints":
        folder = folder.parent
    return folder.name.removesuffix(".ckpt") or source.stem


def _is_of_run(path: Path, folder: Path) -> bool:
    """Whether ``path`` is the folder of checkpoints of the run in ``folder``, or one in it."""
    checkpoints = path if path.is_dir() else path.parent
    own = checkpoints.resolve().name == "checkpoints" and (folder / COMPOSED).is_file()
    return own and (path.is_dir() or path.suffix == ".ckpt")


def _sources(path: Path) -> Iterator[Path]:
    """Yields what may be read at a path that is no run folder, the likeliest first."""
    if path.is_file():
        # Not resolved: caches keep files under other names, and link to them.
        yield from [path.absolute()] if path.suffix == ".ckpt" else []
        return
    yield from (folder.absolute() for folder in (path, path / "checkpoints") if _usual(folder))
    found = [file.absolute() for file in path.glob("*.ckpt") if file.is_file()]
    if len(found) == 1:
        yield found[0]


def _usual(folder: Path) -> list[Path]:
    """Returns the checkpoints in a folder that have a run's names for them, the newest first."""
    files = [folder / f"{kind}.ckpt" for kind in CHECKPOINTS]
    return [file for file in files if file.is_file()]


def as_config(stored: dict[str, Any], path: Path) -> DictConfig:
    """Returns a stored configuration, with its interpolations as they are.

    Args:
        stored: plain values, which may be a stranger's.
        path: of the checkpoint, for messages.

    Raises:
        DamagedError: it is larger than any configuration, or is none.
    """
    if _exceeds(stored, MOST_VALUES):
        raise DamagedError(f"{path}: damaged: its configuration has over {MOST_VALUES:,} values")
    try:
        return cast(DictConfig, OmegaConf.create(present_names(stored)))
    except (OmegaConfBaseException, RecursionError, ValueError, TypeError) as error:
        reason = one_line((str(error).strip() or type(error).__name__).splitlines()[0])
        raise DamagedError(f"{path}: its configuration cannot be read ({reason})") from error


def _exceeds(stored: object, most: int) -> bool:
    """Whether nested containers hold more than ``most`` values, found without visiting more."""
    waiting, seen = [stored], 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if seen + len(waiting) > most:
            return True
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, (list, tuple)):
            waiting += one
    return False


def refuse_resuming(where: str) -> None:
    """Refuses to resume from a checkpoint on its own.

    Raises:
        RunError: ``where`` is one, or a folder of them.
    """
    if where not in ("latest", "auto") and isinstance(find_trained(where, Path()), LoneCheckpoint):
        raise RunError(
            f"resume={where}: a checkpoint without the folder of its run, which holds the "
            "configuration and metrics that a resumed run continues. It can be sampled, evaluated "
            "and translated with; to train on, give the run's folder"
        )


def subject_of(folder: RunFolder) -> dict[str, str]:
    """Returns what reports call the run."""
    if isinstance(folder, LoneCheckpoint):
        return {"checkpoint": str(folder.source)}
    return {"run": str(folder.path)}
