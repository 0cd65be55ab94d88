"""Builds the null GPU with gcc, once for each version of PyTorch and of its own sources."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.nullcuda.stubs import write_stubs

HERE = Path(__file__).parent
SOURCE = HERE / "source"
TOOLS = ("gcc", "nm")


class UnavailableError(Exception):
    """The null GPU cannot be built here; the message says why."""


def built() -> Path:
    """Returns the folder with the libraries, which it builds if they are not there yet.

    Raises:
        UnavailableError: gcc, the CUDA wheel of PyTorch or its headers are missing, or gcc fails.
    """
    reason = missing()
    if reason:
        raise UnavailableError(reason)
    folder = Path(tempfile.gettempdir()) / f"ganforge-nullcuda-{os.getuid()}" / _key()
    if not folder.exists():
        _build(folder)
    return folder


def missing() -> str:
    """Returns what the null GPU lacks here; empty if nothing."""
    if sys.platform != "linux":
        return "the null GPU needs Linux"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"the null GPU needs {' and '.join(absent)}"
    if not (_torch() / "lib" / "libtorch_cuda.so").exists():
        return "the null GPU needs a CUDA wheel of PyTorch"
    if not _header("cuda_runtime_api.h") or not _header("nccl.h"):
        return (
            "the null GPU needs the headers of the CUDA wheels (nvidia-cuda-runtime, nvidia-nccl)"
        )
    return ""


def _torch() -> Path:
    found = importlib.util.find_spec("torch")
    return Path(str(found and found.origin)).parent


def _includes() -> list[Path]:
    """Returns the folders with the headers of the CUDA wheels, which lie beside PyTorch."""
    return sorted((_torch().parent / "nvidia").glob("*/include"))


def _header(name: str) -> Path | None:
    return next((folder / name for folder in _includes() if (folder / name).exists()), None)


def _key() -> str:
    """Returns a name for the sources, the version of PyTorch and the place of its headers."""
    digest = hashlib.sha256((_torch() / "version.py").read_bytes() + str(_torch()).encode())
    for path in sorted([HERE / "stubs.py", HERE / "build.py", *SOURCE.rglob("*.[ch]")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path) -> None:
    """Compiles the libraries into a new folder, which other processes see only when it is whole."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        out = Path(temporary) / "libraries"
        out.mkdir()
        _compile(out)
        try:
            out.rename(folder)
        except OSError:  # another process was quicker
            if not folder.exists():
                raise


def _compile(out: Path) -> None:
    release = _release()
    nvrtc = f"libnvrtc.so.{release // 1000}"
    versions = out / "nvrtc.map"
    versions.write_text(f"{nvrtc} {{ global: *; }};\n")
    write_stubs(_torch(), out / "stubs.c")
    runtime = [SOURCE / "runtime.c", SOURCE / "nccl.c", out / "stubs.c"]
    _gcc(out / "libnullcuda.so", runtime, "-lpthread", "-lrt")
    defined = f"-DCUDA_RELEASE={release}"
    _gcc(out / "libcuda.so.1", [SOURCE / "driver.c"], defined, "-Wl,-soname,libcuda.so.1")
    named = [f"-Wl,-soname,{nvrtc}", f"-Wl,--version-script={versions}"]
    _gcc(out / nvrtc, [SOURCE / "nvrtc.c"], defined, *named)


def _release() -> int:
    """Returns the version of the CUDA runtime, such as 13020 for 13.2."""
    header = _header("cuda_runtime_api.h")
    assert header is not None
    found = re.search(r"#define CUDART_VERSION\s+(\d+)", header.read_text())
    if found is None:
        raise UnavailableError(f"{header} does not tell its version")
    return int(found.group(1))


def _gcc(target: Path, sources: list[Path], *options: str) -> None:
    folders = [SOURCE / "include", SOURCE, *_includes()]
    command = ["gcc", "-shared", "-fPIC", "-O1", "-w", *(f"-I{folder}" for folder in folders)]
    command += ["-o", str(target), *map(str, sources), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"gcc cannot build the null GPU:\n{done.stderr[-2000:]}")
