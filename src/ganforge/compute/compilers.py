from __future__ import annotations

import logging
import os
import shutil

from torch.utils._triton import has_triton

from ganforge.errors import ConfigError

CHOICES = ("none", "auto", "default", "max")


def resolved_compilation(wanted: str | None, accelerator: str) -> str:
    """Returns "none", "default" or "max" for ``trainer.compile``.

    Args:
        wanted: one of CHOICES; None for "none".
        accelerator: "cpu", "cuda" or "mps".

    Raises:
        ConfigError: the value is unknown, or what compiles for this device is missing here.
    """
    wanted = "none" if wanted is None else wanted
    if wanted not in CHOICES:
        raise ConfigError(f"trainer.compile={wanted!r} is not one of {', '.join(CHOICES)}")
    missing = _missing(accelerator)
    if wanted == "auto":
        return "default" if accelerator == "cuda" and missing is None else "none"
    if wanted != "none" and missing is not None:
        raise ConfigError(f"trainer.compile={wanted}: {missing}; use trainer.compile=none")
    return wanted


def silence_cuda_search() -> None:
    """Leaves out PyTorch's remark, while it compiles for the CPU, that there is no GPU for CUDA."""
    logging.getLogger("torch.utils.cpp_extension").addFilter(_is_worth_knowing)


def _is_worth_knowing(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("No CUDA runtime is found, using CUDA_HOME=")


def _missing(accelerator: str) -> str | None:
    if accelerator == "cuda":
        return None if has_triton() else "compiling for this GPU needs Triton, which is missing"
    names = [os.environ.get("CXX", ""), "g++", "clang++"]
    if accelerator == "cpu" and not any(name and shutil.which(name) for name in names):
        return "compiling for the CPU needs a C++ compiler (g++ or clang++), and there is none"
    return None
