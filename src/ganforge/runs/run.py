from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ganforge.config.command import Command
from ganforge.console import console
from ganforge.errors import RunError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.paths import check_folder, typed_path
from ganforge.redaction import redacted
from ganforge.runs.folder import RunFolder, refuse_unrelated_files
from ganforge.runs.load import load
from ganforge.runs.lock import locked
from ganforge.runs.record import write_config
from ganforge.runs.resuming.resume import Resumed


class Run:
    """A run: its folder, its scores and its model.

    :func:`ganforge.train` returns one, and :func:`ganforge.load` takes one wherever it takes a
    folder.

    Args:
        folder: the folder of the run.
        model: the model, if it is in memory; None loads it when it is needed.
        source: what the model is loaded from; None loads the last checkpoint of the folder.
        trust: the user's packages whose classes the configuration may name.
    """

    def __init__(
        self,
        folder: RunFolder,
        model: AdversarialModule | None = None,
        source: str | None = None,
        trust: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._model = model
        self._source = source or str(folder.path)
        self._trust = trust

    @classmethod
    def find(
        cls,
        where: str | os.PathLike[str] = "latest",
        log_dir: str | Path = "logs",
        trust: Sequence[str] = (),
    ) -> Run:
        """Returns the run of a run folder, one of its checkpoints, or "latest".

        Raises:
            RunError: there is no such run.
        """
        named = os.fspath(where)
        folder = RunFolder.find(named, typed_path(log_dir))
        return cls(folder, None, named if named.endswith(".ckpt") else None, trust)

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self.folder.path

    @property
    def scores(self) -> dict[str, dict[str, Any]]:
        """The latest scores by name, each with its value, protocol and step; {} if none."""
        return dict(self.folder.read_summary().get("metrics") or {})

    @property
    def best(self) -> float | None:
        """The best value of the monitored score; None without scores."""
        best = self.folder.read_summary().get("best") or {}
        return next((float(one["value"]) for one in best.values()), None)

    @property
    def model(self) -> AdversarialModule:
        """The trained model in evaluation mode, including its weight average."""
        if self._model is None:
            self._model = load(self._source, trust=self._trust)
        self._model.eval()
        return self._model

    def __fspath__(self) -> str:
        """Returns the folder, so that a run can stand where a path can."""
        return str(self.path)

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, cfg: DictConfig, command: Command, model: AdversarialModule, resumed: Resumed | None
    ) -> Iterator[Run]:
        """Opens the folder of a run to train in: a new one, locked, or that of a resumed run.

        The configuration is written into it. If a new run fails before its first step, its folder
        is removed. At the end, the folder is printed.

        Args:
            cfg: the run's configuration; completed with its folder.
            command: the parsed command line.
            model: the model to train.
            resumed: the run to resume, whose folder is locked already; None for a new run.

        Raises:
            RunError: the folder cannot be created or written, or another process trains in it.
        """
        with contextlib.ExitStack() as lock:
            folder = resumed.folder if resumed is not None else _new_folder(cfg, command, lock)
            cfg.notes, cfg.tags = redacted(cfg.notes), redacted(list(cfg.tags))
            cfg.run_dir, cfg.name, cfg.resume = str(folder.path), str(cfg.name), None
            try:
                write_config(cfg, folder, command, new=resumed is None)
                yield cls(folder, model)
            except BaseException:
                if resumed is None and model.iteration == 0:
                    folder.discard(typed_path(cfg.log_dir))
                raise
            finally:
                if folder.path.exists():
                    console.print(f"run folder: {folder.path}", soft_wrap=True)


def check_new_folder(cfg: DictConfig, command: Command) -> None:
    """Checks that a new run's folder can be written and holds no foreign files or links.

    Called before the slow part: reading the data, training classifiers.
    """
    path = command.folder or command.job
    if path is None:
        check_folder(typed_path(cfg.log_dir), "log_dir")
    else:
        check_folder(Path(path), "run_dir")
        refuse_unrelated_files(Path(path))


def _new_folder(cfg: DictConfig, command: Command, lock: contextlib.ExitStack) -> RunFolder:
    path = command.folder or command.job
    folder = RunFolder.new(typed_path(cfg.log_dir), str(cfg.name), cfg.seed, path)
    lock.enter_context(locked(folder.path))
    if path is not None:
        _refuse_begun(folder)
        folder.clear()
    return folder


def _refuse_begun(folder: RunFolder) -> None:
    """Refuses to clear the checkpoints of a run that ended just before this one took the lock."""
    if any((folder.checkpoints / f"{kind}.ckpt").is_file() for kind in ("last", "previous")):
        raise RunError(
            f"{folder.path}: another process has just trained here; run the same command again to "
            "resume from its checkpoint"
        )
