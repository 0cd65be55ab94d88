from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, cast

import torch

from ganforge.compute.hardware import Hardware
from ganforge.full_precision import tf32

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextlib.contextmanager
def backends(hardware: Hardware, deterministic: bool) -> Iterator[None]:
    """Sets PyTorch's global switches for a training, and restores them afterwards.

    They belong to the process, which may go on: in a sweep, a notebook or a program. Make the
    trainer inside the context, because Lightning sets some of them when it is made.

    Args:
        hardware: the resolved hardware settings.
        deterministic: whether GPU algorithms are bitwise reproducible (trainer.deterministic).
    """
    allowed = None if hardware.tf32 is None else hardware.tf32 != "off"
    with _restored(), tf32(allowed, everywhere=hardware.tf32 == "everywhere"):
        if deterministic:
            # Every value that a training reads has been written: filling new memory first, to
            # find those that were not, would only launch up to 2.5 times as many kernels.
            cast(Any, torch.utils.deterministic).fill_uninitialized_memory = False
        yield


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Restores the switches of reproducibility at the end."""
    cudnn, filling = cast(Any, torch.backends.cudnn), cast(Any, torch.utils.deterministic)
    before = cudnn.benchmark, cudnn.deterministic, filling.fill_uninitialized_memory
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    workspace = os.environ.get(_CUBLAS)
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic, filling.fill_uninitialized_memory = before
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        if workspace is None:
            os.environ.pop(_CUBLAS, None)
        else:
            os.environ[_CUBLAS] = workspace
