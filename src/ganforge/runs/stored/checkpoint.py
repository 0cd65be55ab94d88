from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from ganforge import atomic
from ganforge.config.former_names import present_name
from ganforge.errors import DamagedError, RunError, system_error
from ganforge.tensor_files import read_tensors

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoint IO that writes atomically and never unpickles code.

    A checkpoint is serialised directly into its target folder (no copy in memory or in the system's
    temporary folder), synced, and renamed into place. A replaced ``last.ckpt`` is kept as
    ``previous.ckpt``.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,
    ) -> None:
        """Writes ``checkpoint`` to ``path``.

        Raises:
            RunError: the disk is full or not writable. An existing file at ``path`` is kept.
        """
        target = Path(path)
        try:
            with atomic.writing(target) as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())  # before the old one is moved, the new one must be on disk
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
        """Reads a checkpoint as tensors and plain containers; ``weights_only`` is ignored.

        Verifies checksums first: torch does not, and would load flipped bits as weights.

        Raises:
            RunError: there is no such file.
            DamagedError: it is damaged, or holds anything other than plain data.
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
        states = loaded.get("callbacks")
        if isinstance(states, dict):  # Lightning stores states by class name
            package = "ganforge.callbacks."
            for name in list(states):
                states[present_name(f"{package}{name}").removeprefix(package)] = states.pop(name)
        return loaded

    def clean(self, folder: str | Path) -> None:
        """Removes partially written checkpoints of killed runs from ``folder``."""
        atomic.clean(Path(folder))


def assert_writable(path: Path) -> None:
    """Raises RunError if ``path`` is a folder, which a checkpoint file cannot replace."""
    if path.is_dir() and not path.is_symlink():
        raise RunError(f"{path} is a folder where the checkpoint has to be written: move it away")


def _keep_as_previous(last: Path) -> None:
    """Makes ``previous.ckpt`` the current ``last.ckpt``, so that one of them is always readable.

    Uses a hard link where possible, so that ``last.ckpt`` exists until it is replaced.
    """
    if not last.exists():
        return
    previous = last.with_name(PREVIOUS)
    link = atomic.temporary_sibling(previous)
    with contextlib.suppress(OSError):
        link.unlink(missing_ok=True)
        os.link(last, link)
    if link.exists():
        os.replace(link, previous)
        # rename() does nothing if both names are links to the same file: remove the leftover.
        link.unlink(missing_ok=True)
    else:
        # No hard links here: last.ckpt is missing until the new file is renamed into place.
        os.replace(last, previous)
