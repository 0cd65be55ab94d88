from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ganforge.errors import ConfigError, RunError
from ganforge.paths import typed_path
from ganforge.runs.contents import Contents, linked_folders, named, remove_own
from ganforge.runs.latest import LATEST, latest_run, point_latest
from ganforge.runs.lock import LOCK
from ganforge.runs.stored.past_summary import read_summary
from ganforge.terminal import as_typed

CHECKPOINTS = ("last", "previous", "best")


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run: logs/train/<date>/<time>-<model>-<data>-s<seed>/.

    Attributes:
        path: the folder.
        former: for a new run, the run that ``latest`` pointed at before; else None.
        made: whether the folder was created for this run; False if it existed already.
    """

    path: Path
    former: Path | None = None
    made: bool = False

    @classmethod
    def new(cls, log_dir: Path, name: str, seed: int, job: str | None = None) -> RunFolder:
        """Creates the folder of a new run, and points the link ``latest`` at it.

        Args:
            log_dir: root of all outputs.
            name: name of the run, such as "dcgan-mnist".
            seed: the run's seed.
            job: folder of a sweep's job, used instead of the dated folder. An existing one is
                reused: the run in it was stopped before its first checkpoint.

        Raises:
            ConfigError: the name contains a path separator.
            RunError: the folder cannot be created, or it holds anything other than a run.
        """
        if Path(name).name != name:
            raise ConfigError(f"name={name}: becomes part of a folder's name, so no / is legal")
        now = datetime.now()
        stem = f"{now:%H-%M-%S}-{name}-s{seed}"
        parent = log_dir / "train" / f"{now:%Y-%m-%d}"
        if job is not None:
            parent, stem = Path(job).parent, Path(job).name
            refuse_unrelated_files(Path(job))
        path, made = _make(parent, stem, taken=job is not None)
        latest = log_dir / "train" / LATEST
        former = latest.resolve() if latest.is_symlink() and latest.exists() else None
        folder = cls(path.absolute(), former, made)
        point_latest(folder.path, log_dir / "train")
        return folder

    @classmethod
    def find(cls, where: str, log_dir: Path) -> RunFolder:
        """Finds a run by its folder, one of its checkpoints, or "latest".

        Raises:
            RunError: there is no such run.
        """
        if where == LATEST:
            return cls(latest_run(log_dir))
        path = typed_path(where)
        if not os.path.exists(path):  # unlike Path.exists, False for a name that is too long
            raise RunError(f"{where}: no such run folder or checkpoint")
        if path.is_file():
            if path.suffix != ".ckpt":
                raise RunError(f"{where}: neither a run folder nor a checkpoint (*.ckpt)")
            path = path.parent.parent
        folder = cls(path.resolve())
        if not folder.composed.is_file():
            raise RunError(f"{where}: not a run folder: it has no {folder.composed.name}")
        return folder

    @property
    def config(self) -> Path:
        """The resolved configuration, without interpolations."""
        return self.path / "config.yaml"

    @property
    def composed(self) -> Path:
        """The configuration with its interpolations, from which a resumed run is built."""
        return self.path / "composed.yaml"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def summary(self) -> Path:
        """The machine-readable summary: status, step and scores of the run."""
        return self.path / "summary.json"

    def read_summary(self) -> dict[str, Any]:
        """Returns the summary; empty if there is none yet."""
        return read_summary(self.path)[0]

    def checkpoint(self, kind: str = "last") -> Path:
        """Returns the path of a checkpoint; "last" falls back to "previous".

        Raises:
            ConfigError: ``kind`` is not one of ``CHECKPOINTS``.
            RunError: there is no such checkpoint.
        """
        if kind not in CHECKPOINTS:
            raise ConfigError(f"checkpoint={kind}: legal: {', '.join(CHECKPOINTS)}")
        fallbacks = ["last", "previous"] if kind == "last" else [kind]
        for name in fallbacks:
            path = self.checkpoints / f"{name}.ckpt"
            if path.is_file():
                return path
        raise RunError(f"{self.path}: contains no {kind} checkpoint yet")

    def clear(self) -> None:
        """Removes the files of a run that has no checkpoint yet, except its lock.

        Raises:
            RunError: the folder holds foreign files (nothing is removed), or a file cannot be
                removed.
        """
        refuse_unrelated_files(self.path)
        try:
            remove_own(Contents.of(self.path), keep=(LOCK,))
        except OSError as error:
            raise RunError(f"cannot clear {self.path}: {error.strerror or error}") from error

    def discard(self, log_dir: Path) -> None:
        """Removes the files of a run that never started, and restores the link ``latest``."""
        with contextlib.suppress(OSError):  # must not hide the error that ended the run
            remove_own(Contents.of(self.path))
            if self.made:
                self.path.rmdir()
        link = log_dir / "train" / LATEST
        if link.is_symlink() and link.resolve() == self.path.resolve():
            link.unlink(missing_ok=True)
            if self.former is not None and self.former.is_dir():
                point_latest(self.former, log_dir / "train")
        for parent in self.path.parents:
            if log_dir.absolute() not in parent.parents:
                break
            with contextlib.suppress(OSError):  # not empty: it holds other runs
                parent.rmdir()

    def subfolder(self, *names: str) -> Path:
        """Returns the subfolder that a command writes to by default, such as ``samples``.

        Raises:
            RunError: it, or one of its parents inside the run, is a link. In a copied run, a link
                may lead anywhere.
        """
        path = self.path
        for name in names:
            path = path / name
            if path.is_symlink():
                raise RunError(
                    f"{path} is a link, and nothing is written through it; give out=PATH"
                )
        return path

    def refuse_links(self, allow: Iterable[str] = ()) -> None:
        """Rejects subfolders that are links: in a copied run, they may lead anywhere.

        Args:
            allow: words of ``resume.allow``; "links" permits the links.

        Raises:
            RunError: there are links. The message names them.
        """
        if "links" not in allow and (links := linked_folders(self.path)):
            raise RunError(
                f"{self.path}: {named(links, self.path)} in it "
                f"{'is a link' if len(links) == 1 else 'are links'}, through which a resumed run "
                "would write. Replace it by a folder, or give resume.allow=[links] if you made it"
            )


def _make(parent: Path, stem: str, taken: bool) -> tuple[Path, bool]:
    """Creates a run folder; returns its path, and whether it is new.

    ``mkdir`` is atomic: of several runs that start at once, each gets a folder of its own.

    Args:
        parent: parent folder.
        stem: name of the folder; a number is appended if the name exists already.
        taken: whether an existing folder of that name is reused instead.
    """
    for attempt in range(1, 100):
        path = parent / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            path.mkdir(parents=True)
            return path, True
        except OSError as error:
            if taken and path.is_dir():
                return path, False
            if taken or not os.path.exists(path):
                raise RunError(
                    f"cannot create the run folder {path} ({error.strerror or error}); "
                    "choose another with log_dir=PATH"
                ) from error
    raise RunError(f"cannot create a run folder next to {path}")


def refuse_unrelated_files(path: Path) -> None:
    """Rejects a folder in which a new run would overwrite something; a missing one is fine.

    Raises:
        RunError: the folder holds foreign files, links, or the record of a run that finished or
            had checkpoints.
    """
    try:
        contents = Contents.of(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"run_dir={path}: {error.strerror or error}") from error
    if strange := [*contents.foreign, *contents.links]:
        raise RunError(
            f"{path}: contains other files than those of a run: {named(strange, path)}. "
            "run_dir=DIR takes a new folder, or that of a run that was stopped early"
        )
    summary, fault = read_summary(path)
    if fault or summary.get("status") == "completed" or summary.get("checkpoint"):
        raise RunError(
            f"{path}: contains the record of a run whose checkpoints are gone, and a new run would "
            "replace it. Give another run_dir, or remove the record: "
            f"{as_typed(f'ganforge runs runs={path} remove=true')}"
        )
