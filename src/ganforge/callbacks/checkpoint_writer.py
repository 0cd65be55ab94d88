from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO
from torch import Tensor

log = logging.getLogger("ganforge")


class CheckpointWriter(CheckpointIO):
    """Checkpoint IO that lets another one write, in the background if requested.

    In the background, :meth:`save_checkpoint` only copies the state to host memory, and one thread
    serializes the copy and writes the files while training continues. At most one write is in
    flight: the next one waits for it. An error of the thread is raised in the training thread, by
    the next call of any method below. The thread is not a daemon, so that a process which exits in
    an unforeseen way still finishes the file.

    If there is no memory for the copy, the checkpoint is written in the foreground.

    Args:
        io: writes the files, each atomically.
        background: whether to write in the background.
    """

    def __init__(self, io: CheckpointIO, background: bool) -> None:
        self.io = io
        self.background = background
        self._snapshots = Snapshots()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Sequence[str | Path] | None = None,
    ) -> None:
        """Writes a checkpoint, or starts to.

        Args:
            checkpoint: nested containers of tensors and plain values.
            path: path of the file.
            storage_options: paths of further files with the same contents, written after it.

        Raises:
            RunError: this checkpoint, or the one before it in the background, cannot be written.
        """
        self.wait()
        paths = [path, *(storage_options or ())]
        taken = self._snapshots.take(checkpoint) if self.background else None
        if taken is None:
            self._write(checkpoint, paths)
            return
        self._thread = threading.Thread(
            target=self._write_snapshot, args=(*taken, paths), name="checkpoint-writer"
        )
        self._thread.start()

    def check(self) -> None:
        """Raises the error of a write in the background that has ended; does not wait."""
        if self._thread is not None and not self._thread.is_alive():
            self.wait()

    def wait(self) -> None:
        """Waits until the files are complete.

        Raises:
            RunError: they cannot be written. Raised once.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def load_checkpoint(self, path: str | Path, *options: Any, **named: Any) -> dict[str, Any]:
        """Reads a checkpoint, after a write in the background has ended."""
        self.wait()
        loaded: dict[str, Any] = self.io.load_checkpoint(path, *options, **named)
        return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Removes a checkpoint, after a write in the background has ended."""
        self.wait()
        self.io.remove_checkpoint(path)

    def teardown(self) -> None:
        """Waits until the files are complete; the last resort for a fit that failed."""
        try:
            self.wait()
        except Exception as error:  # the fit has ended: its own error is the important one
            log.warning("%s", error)
        self.io.teardown()

    def _write(self, checkpoint: dict[str, Any], paths: Sequence[str | Path]) -> None:
        for path in paths:
            self.io.save_checkpoint(checkpoint, path)

    def _write_snapshot(
        self,
        checkpoint: dict[str, Any],
        copied: torch.cuda.Event | None,
        paths: Sequence[str | Path],
    ) -> None:
        try:
            if copied is not None:
                copied.synchronize()
            self._write(checkpoint, paths)
        except BaseException as error:  # raised again in the training thread
            self._error = error


class Snapshots:
    """Copies checkpoints to host memory, so that they can be written while their tensors change.

    Tensors are copied by whole storages, as ``torch.save`` writes them: tensors that share one
    still do. Those of a CUDA device are copied to pinned memory, in the order of the device's
    current stream: the caller only enqueues the copies, and later kernels run after them.

    The memory is kept for the next copy: to allocate it takes longer than to fill it. The copy
    before must therefore not be used any more.
    """

    def __init__(self) -> None:
        self._memory: list[Tensor] = []  # the bytes of each storage

    def take(
        self, checkpoint: dict[str, Any], pinned: bool = True
    ) -> tuple[dict[str, Any], torch.cuda.Event | None] | None:
        """Copies a checkpoint.

        Args:
            checkpoint: nested containers of tensors and plain values.
            pinned: whether to copy from CUDA devices to pinned memory, without waiting.

        Returns:
            The copy, and the event after which its contents are valid (None: now); None if there is
            not enough memory.
        """
        tensors = list(_tensors(checkpoint))
        asynchronous = pinned and any(tensor.is_cuda for tensor in tensors)
        try:
            copied = copy.deepcopy(checkpoint, self._copies(tensors, pinned))
        except (MemoryError, RuntimeError) as error:
            log.debug("no snapshot of the state: %s", error)
            self._memory.clear()
            # Pinned memory is scarcer than pageable memory.
            return self.take(checkpoint, pinned=False) if asynchronous else None
        if not asynchronous:
            return copied, None
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return copied, event

    def _copies(self, tensors: Sequence[Tensor], pinned: bool) -> dict[int, Any]:
        """Returns the copies of tensors by the identity of the original, for deepcopy."""
        free, self._memory = self._memory, []
        storages: dict[int, torch.UntypedStorage] = {}
        copies: dict[int, Any] = {}
        for tensor in tensors:
            original = tensor.untyped_storage()
            key = original._cdata  # by which torch.save tells storages apart
            if key not in storages:
                former = free[len(storages)] if len(storages) < len(free) else None
                self._memory.append(_copied(original, pinned and tensor.is_cuda, former))
                storages[key] = self._memory[-1].untyped_storage()
            view = torch.empty(0, dtype=tensor.dtype)
            view.set_(storages[key], tensor.storage_offset(), tensor.shape, tensor.stride())
            copies[id(tensor)] = view.requires_grad_(tensor.requires_grad)
        return copies


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yields the plain strided tensors in nested containers; deepcopy handles all others."""
    if type(value) is Tensor:
        if value.layout == torch.strided and not (value.is_conj() or value.is_neg()):
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _copied(storage: torch.UntypedStorage, pinned: bool, memory: Tensor | None) -> Tensor:
    """Returns the bytes of a storage in host memory, in ``memory`` if it has their number."""
    original = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    if memory is None or memory.shape != original.shape or memory.is_pinned() != pinned:
        if pinned:
            memory = torch.empty(original.shape, dtype=torch.uint8, pin_memory=True)
        else:  # NumPy asks for huge pages, and fills them faster than torch's threads
            memory = torch.from_numpy(np.empty(original.shape, np.uint8))
    if original.device.type == "cpu":
        np.copyto(memory.numpy(), original.numpy())
    else:
        memory.copy_(original, non_blocking=pinned)
    return memory
