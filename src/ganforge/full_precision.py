"""Float32 in full precision: TF32 is allowed for a training, but not for samples and scores."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import torch

_EVERYWHERE: ContextVar[bool] = ContextVar("everywhere", default=False)


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Disables autocast, and TF32 unless the training around it allows it everywhere."""
    exact = device.type == "cuda" and not _EVERYWHERE.get()
    with torch.autocast(device.type, enabled=False), tf32(False if exact else None):
        yield


@contextlib.contextmanager
def tf32(allowed: bool | None, everywhere: bool = False) -> Iterator[None]:
    """Allows or forbids TF32 in convolutions and matrix products on NVIDIA GPUs.

    TF32 keeps 10 of the 23 bits of float32's mantissa. PyTorch's own default allows it in
    convolutions only. At the end, the former settings are restored.

    Args:
        allowed: None changes nothing.
        everywhere: whether :func:`full_precision` allows it, too.
    """
    if allowed is None:
        yield
        return
    before, token = _Settings.read(), _EVERYWHERE.set(everywhere)
    try:
        before.set(allowed)
        yield
    finally:
        _EVERYWHERE.reset(token)
        before.restore()


@dataclass
class _Settings:
    """PyTorch's settings: two flags, and from 2.9 on a precision for each kind of operation.

    Setting a flag also sets the precisions, but not the other way round: the flags of a program
    that has set precisions cannot be read. The flags are set here, as every version has them.
    """

    products: str | None
    flags: tuple[bool | None, bool | None]
    precisions: tuple[str, ...]
    replaced: bool = False

    @classmethod
    def read(cls) -> _Settings:
        backends = cast(Any, torch.backends)
        flags = _flag(backends.cuda.matmul), _flag(backends.cudnn)
        return cls(_products(), flags, tuple(one.fp32_precision for one in _operations()))

    def set(self, allowed: bool) -> None:
        _set_flags(allowed, allowed)
        if self.products is not None and _products() is None:
            # The user chose it for all devices, and the flag contradicts it.
            torch.set_float32_matmul_precision("highest")
            _set_flags(allowed, allowed)
            self.replaced = True
        for operation in _operations():
            operation.fp32_precision = "tf32" if allowed else "ieee"

    def restore(self) -> None:
        _set_flags(*self.flags)
        if self.replaced:
            torch.set_float32_matmul_precision(cast(str, self.products))
        for operation, precision in zip(_operations(), self.precisions, strict=True):
            if operation.fp32_precision != precision:
                operation.fp32_precision = precision


def _products() -> str | None:
    """Returns the precision of matrix products on all devices; None if PyTorch refuses to tell."""
    with _quiet(), contextlib.suppress(RuntimeError):
        return torch.get_float32_matmul_precision()
    return None


def _operations() -> list[Any]:
    backends = cast(Any, torch.backends)
    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return []
    return [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]


def _flag(backend: Any) -> bool | None:
    """Returns whether a backend allows TF32; None if PyTorch refuses to tell."""
    with _quiet(), contextlib.suppress(RuntimeError):
        return bool(backend.allow_tf32)
    return None


def _set_flags(products: bool | None, convolutions: bool | None) -> None:
    backends = cast(Any, torch.backends)
    with _quiet():
        if products is not None:
            backends.cuda.matmul.allow_tf32 = products
        if convolutions is not None:
            backends.cudnn.allow_tf32 = convolutions


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses a warning of PyTorch 2.9 that recommends precisions over flags."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*TF32.*")
        yield
