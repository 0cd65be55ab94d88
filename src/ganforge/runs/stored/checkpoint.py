from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from ganforge import atomic
from ganforge.errors import DamagedError, RunError
from ganforge.faults import system_error
from ganforge.tensor_files import read_tensors

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole at every moment.

    A checkpoint is serialised straight into its own folder (no copy in memory, none in the
    temporary folder), synced, and renamed into place. The ``last.ckpt`` that it replaces stays as
    ``previous.ckpt``. Loading never unpickles code.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,
    ) -> None:
        """Writes ``checkpoint`` to ``path``.

        Raises:
            RunError: the disk is full or not writable. What was at ``path`` is still there.
        """
        target = Path(path)
        try:
            with atomic.writing(target) as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())  # the old one steps aside only for a new one on the disk
                if target.name == LAST:
                    _keep_as_previous(target)
        except (OSError, RuntimeError) as error:
            cause = system_error(error)
            if cause is None:
                raise
            raise RunError(
                f"cannot write checkpoint {target}: {cause.strerror or cause}. "
                "The checkpoints written before it are intact."
            ) from error

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[[Any, str], Any] | None = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Reads a checkpoint as tensors and plain containers, whatever ``weights_only`` says.

        Its checksums are compared first: torch does not, and flipped bits would become weights.

        Raises:
            RunError: there is no such file.
            DamagedError: it is damaged or holds more than plain data.
        """
        target = Path(path)
        if not target.is_file():
            raise RunError(f"there is no checkpoint {target}")
        try:
            loaded = read_tensors(target, map_location)
        except (OSError, DamagedError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise DamagedError(f"cannot read checkpoint {target}: {reason}") from error
        if not isinstance(loaded, dict):
            raise DamagedError(f"{target}: not a checkpoint of ganforge")
        return loaded

    def clean(self, folder: str | Path) -> None:
        """Removes the half-written checkpoints of killed runs from ``folder``."""
        atomic.clean(Path(folder))


def assert_writable(path: Path) -> None:
    """Raises RunError when a folder has the name of a checkpoint: no file can take its place."""
    if path.is_dir() and not path.is_symlink():
        raise RunError(f"{path} is a folder where the checkpoint has to be written: move it away")


def _keep_as_previous(last: Path) -> None:
    """Makes ``previous.ckpt`` what ``last.ckpt`` is, so that one of the two can always be read."""
    if not last.exists():
        return
    previous = last.with_name(PREVIOUS)
    link = atomic.temporary_beside(previous)
    with contextlib.suppress(OSError):
        link.unlink(missing_ok=True)
        os.link(last, link)
    if link.exists():
        os.replace(link, previous)
        link.unlink(missing_ok=True)  # renaming a link onto itself leaves both names
    else:
        os.replace(last, previous)  # no hard links here; the new file, whole already, follows
