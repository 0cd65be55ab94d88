from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ganforge.errors import ConfigError, RunError
from ganforge.experiments.run_lock import LOCK
from ganforge.paths import typed_path

CHECKPOINTS = ("last", "previous", "best")


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps everything: logs/train/<date>/<time>-<model>-<data>-s<seed>/.

    Attributes:
        path: the folder.
        former: the run that was the latest one before, where this one is new.
    """

    path: Path
    former: Path | None = None

    @classmethod
    def new(cls, log_dir: Path, name: str, seed: int, job: str | None = None) -> RunFolder:
        """Makes a folder of its own for a run, and points the link ``latest`` at it.

        Args:
            log_dir: root of all outputs.
            name: what the run is called, such as "dcgan-mnist".
            seed: the run's seed.
            job: folder of a sweep's job, in place of the dated one. One that is there is taken
                over: the run in it was stopped before its first checkpoint.

        Raises:
            RunError: when no folder can be made there, or it holds other things than a run.
        """
        if Path(name).name != name:
            raise ConfigError(f"name={name}: becomes part of a folder's name, so no / is legal")
        now = datetime.now()
        stem = f"{now:%H-%M-%S}-{name}-s{seed}"
        parent = log_dir / "train" / f"{now:%Y-%m-%d}"
        if job is not None:
            parent, stem = Path(job).parent, Path(job).name
            _refuse_strangers(Path(job))
        for attempt in range(1, 100):
            path = parent / (stem if attempt == 1 else f"{stem}-{attempt}")
            try:
                path.mkdir(parents=True, exist_ok=job is not None)
                break
            except OSError as error:
                if not path.exists():
                    raise RunError(
                        f"cannot make the run folder {path} ({error.strerror or error}); "
                        "log_dir=PATH puts it elsewhere"
                    ) from error
        else:
            raise RunError(f"cannot make a run folder beside {path}")
        latest = log_dir / "train" / "latest"
        folder = cls(path.absolute(), latest.resolve() if latest.exists() else None)
        folder.point_latest(log_dir / "train")
        return folder

    @classmethod
    def find(cls, where: str, log_dir: Path) -> RunFolder:
        """Finds a run by its folder, by one of its checkpoints, or the "latest" one.

        Raises:
            RunError: when there is no run.
        """
        if where == "latest":
            link = log_dir / "train" / "latest"
            if not link.exists():
                raise RunError(
                    f"no run yet under {log_dir / 'train'}: there is no latest one. Runs that lie "
                    "elsewhere are found with log_dir=DIR"
                )
            return cls(link.resolve())
        path = typed_path(where)
        if not path.exists():
            raise RunError(f"{where}: no such run folder or checkpoint")
        if path.is_file():
            if path.suffix != ".ckpt":
                raise RunError(f"{where}: neither a run folder nor a checkpoint (*.ckpt)")
            path = path.parent.parent
        folder = cls(path.resolve())
        if not folder.composed.is_file():
            raise RunError(f"{where}: not a run folder, for it has no {folder.composed.name}")
        return folder

    @property
    def config(self) -> Path:
        """The resolved configuration, for readers."""
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
        """The machine-readable end of the run."""
        return self.path / "summary.json"

    def read_summary(self) -> dict[str, Any]:
        """Returns the summary, empty when there is none yet."""
        try:
            return dict(json.loads(self.summary.read_text()))
        except (OSError, ValueError):
            return {}

    def checkpoint(self, kind: str = "last") -> Path:
        """Returns a checkpoint's path; "last" falls back to the previous one.

        Raises:
            RunError: when there is none.
        """
        if kind not in CHECKPOINTS:
            raise ConfigError(f"checkpoint={kind}: legal: {', '.join(CHECKPOINTS)}")
        fallbacks = ["last", "previous"] if kind == "last" else [kind]
        for name in fallbacks:
            path = self.checkpoints / f"{name}.ckpt"
            if path.is_file():
                return path
        raise RunError(f"{self.path}: holds no {kind} checkpoint yet")

    def clear(self) -> None:
        """Removes what a run left that had no checkpoint yet, but for its lock."""
        for path in self.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()

    def discard(self, log_dir: Path) -> None:
        """Removes the folder of a run that never began, and gives ``latest`` back."""
        shutil.rmtree(self.path, ignore_errors=True)
        link = log_dir / "train" / "latest"
        if link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)
            if self.former is not None and self.former.is_dir():
                RunFolder(self.former).point_latest(log_dir / "train")
        for parent in self.path.parents:
            if log_dir.absolute() not in parent.parents:
                break
            with contextlib.suppress(OSError):  # not empty: other runs lie there
                parent.rmdir()

    def point_latest(self, root: Path) -> None:
        """Points the link ``latest`` in ``root`` at this run."""
        # A file system without links loses a convenience, not a run.
        with contextlib.suppress(OSError):
            root.mkdir(parents=True, exist_ok=True)
            link = root / f".latest.{os.getpid()}"
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(self.path, root))
            os.replace(link, root / "latest")


def _refuse_strangers(path: Path) -> None:
    """Refuses a folder whose contents are no unfinished run's, for they would be removed."""
    found = [item.name for item in path.iterdir()] if path.is_dir() else []
    # What a run writes first may be half-written when it is killed.
    own = any(name.startswith("composed.yaml") for name in found)
    if set(found) - {LOCK} and not own:
        raise RunError(f"{path}: holds other things than a run; run_dir=DIR takes a new folder")
