"""What this machine computes with: its accelerator, the kinds of its GPUs, native bfloat16."""

from __future__ import annotations

import os
import platform
import warnings
from pathlib import Path
from typing import Any, cast

import torch

from ganforge.errors import ConfigError

DRIVER = Path("/dev/nvidiactl")  # exists if an NVIDIA driver is loaded
BF16 = (8, 0)  # first compute capability with bfloat16 and TF32 (Ampere)
TENSOR_CORES = (7, 0)  # first one with tensor cores, for float16 (Volta)


def find_accelerator(wanted: str) -> str:
    """Returns "cpu", "cuda" or "mps" for a legal value of ``trainer.accelerator``.

    Raises:
        ConfigError: this machine has no such accelerator. The message says why.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted in ("gpu", "cuda"):
        if not cuda and (wanted == "cuda" or not mps):
            raise ConfigError(
                f"trainer.accelerator={wanted}: no GPU found: {why_no_gpu()}. trainer=auto takes "
                "what there is"
            )
        return "cuda" if cuda else "mps"
    if wanted == "mps" and not mps:
        raise ConfigError(
            "trainer.accelerator=mps: this machine has no MPS device. trainer=auto takes what "
            "there is"
        )
    if wanted != "auto":
        return wanted
    return "cuda" if cuda else "mps" if mps else "cpu"


def describe(kind: str, count: int) -> str:
    """Returns what ``trainer=auto`` has found, for the header.

    Args:
        kind: the chosen accelerator.
        count: number of devices that are used.
    """
    if kind == "cuda":
        return f"found {' and '.join(gpu_names(count))}"
    if kind == "mps":
        return "found MPS"
    return f"no GPU found: {why_no_gpu()}" if DRIVER.exists() else "no GPU found"


def why_no_gpu() -> str:
    """Returns why torch finds no GPU: a build for CPUs, hidden GPUs, or the driver's reason."""
    version = torch.__version__
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {version} is a build for CPUs"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides all GPUs"
    with warnings.catch_warnings():  # is_available() has already printed them
        warnings.simplefilter("ignore")
        try:
            cast(Any, torch.cuda).init()
        except (RuntimeError, AssertionError) as error:
            reason = str(error).split(". ")[0].splitlines()[0].rstrip(".")
            return f"torch {version} supports GPUs, but: {reason}"
    return f"torch {version} supports GPUs, but the driver lists none (see nvidia-smi)"


def gpu_names(count: int) -> list[str]:
    """Returns the different names of the first ``count`` GPUs."""
    return list(dict.fromkeys(torch.cuda.get_device_name(index) for index in range(count)))


def capability(count: int) -> tuple[int, int]:
    """Returns the lowest compute capability of the first ``count`` GPUs.

    AMD's GPUs have other numbers; those that PyTorch supports compute in bfloat16.
    """
    if torch.version.hip is not None:
        return BF16
    return min(torch.cuda.get_device_capability(index) for index in range(count))


def has_tf32(kind: str, count: int) -> bool:
    """Whether the first ``count`` devices can round products to TF32."""
    return kind == "cuda" and torch.version.hip is None and capability(count) >= BF16


def computes_bf16(kind: str, count: int) -> bool:
    """Whether the first ``count`` devices support bfloat16 without emulation; not asked of MPS."""
    return capability(count) >= BF16 if kind == "cuda" else kind == "cpu" and has_native_bf16()


def has_native_bf16() -> bool:
    """Whether the CPU supports bfloat16 arithmetic (AVX512-BF16, AMX, or ARM's extension)."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    native = {"avx512_bf16", "amx_bf16"} if platform.machine() in ("x86_64", "AMD64") else {"bf16"}
    return not native.isdisjoint(flags)
