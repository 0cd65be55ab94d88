"""Trainings that the items start, and callbacks that measure them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from gpu_recipes import STEPS_ONLY, fake
from lightning.pytorch import Callback
from torch import Tensor

import ganforge
from ganforge.paths import conf_dir

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
COLOR = ("sngan", "sagan", "biggan", "r3gan")  # their networks are built for color images
WINDOW = 16  # steps that are timed together: as many as between two lazy penalties


def models() -> list[str]:
    """Returns the names of all models."""
    return sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))


def overrides_of(model: str) -> list[str]:
    """Returns the overrides of a model with data that need no download."""
    data = {"pix2pix": ["data=photos_paired"], "cyclegan": ["data=photos_unpaired"]}
    data |= {name: fake(32, 10, 64) for name in COLOR}
    return [f"model={model}", *data.get(model, ["data=digits"])]


@contextmanager
def run_folder() -> Iterator[Path]:
    """Yields a folder for a run and removes it."""
    folder = Path(tempfile.mkdtemp(prefix="on_gpu_"))
    try:
        yield folder / "run"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def train(overrides: Sequence[str], folder: Path, steps: int) -> None:
    """Trains a new run on one GPU.

    Args:
        overrides: as on the command line.
        folder: the run's folder.
        steps: number of steps.
    """
    fixed = ["trainer=gpu", *STEPS_ONLY, f"run_dir={folder}", f"trainer.max_steps={steps}"]
    ganforge.train(ganforge.compose_config([*fixed, *overrides]))


def resume(folder: Path, steps: int, overrides: Sequence[str] = ()) -> None:
    """Resumes a run and trains it up to a number of steps."""
    typed = [f"resume={folder}", f"trainer.max_steps={steps}", *overrides]
    ganforge.train(ganforge.compose_config(typed))


def weights(folder: Path) -> dict[str, Tensor]:
    """Returns the weights and buffers of a run's last checkpoint, on the CPU."""
    path = folder / "checkpoints" / "last.ckpt"
    state: dict[str, Tensor] = torch.load(path, "cpu", weights_only=True)["state_dict"]
    return state


class Clock(Callback):
    """Times windows of steps behind a warm-up, and ends the training after some seconds.

    The host waits for the device only at the end of each window.

    Args:
        seconds: time to measure.
        window: number of steps of a window; one of them is the warm-up.
    """

    latest: Clock

    def __init__(self, seconds: float, window: int = WINDOW) -> None:
        self.seconds = seconds
        self.window = window
        self.marks: list[float] = []
        Clock.latest = self  # ganforge builds callbacks from the configuration

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Reads the clock at the end of a window."""
        past = pl_module.iteration - self.window
        if past < 0 or past % self.window:
            return
        torch.cuda.synchronize()
        self.marks.append(time.perf_counter())
        if self.marks[-1] - self.marks[0] > self.seconds and len(self.marks) > 3:
            trainer.should_stop = True

    def milliseconds(self) -> list[float]:
        """Returns the milliseconds per step of each window, in ascending order."""
        pairs = zip(self.marks, self.marks[1:], strict=False)
        return sorted(1000 * (end - start) / self.window for start, end in pairs)


class Profiled(Callback):
    """Profiles a few steps behind a warm-up.

    Attributes:
        profile: events of the steps.
        seconds: their duration.

    Args:
        steps: number of steps to profile.
        warmup: number of steps before.
    """

    latest: Profiled

    def __init__(self, steps: int = 4, warmup: int = WINDOW) -> None:
        self.steps = steps
        self.warmup = warmup
        self.profile = torch.profiler.profile()
        self.seconds = 0.0
        Profiled.latest = self

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Starts the profiler behind the warm-up, and stops it after the steps."""
        past = pl_module.iteration - self.warmup
        if past not in (0, self.steps):
            return
        torch.cuda.synchronize()
        if past == 0:
            self.profile.start()
            self.seconds = time.perf_counter()
        else:
            self.seconds = time.perf_counter() - self.seconds
            self.profile.stop()


class Switch(Callback):
    """Sets global switches of PyTorch for a training, whatever the training itself has set.

    Args:
        name: "benchmark" or "no_benchmark" of cuDNN; "tf32" or "no_tf32" in all float32 products.
    """

    def __init__(self, name: str) -> None:
        self.on = not name.startswith("no_")
        cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
        self.switches: list[tuple[Any, str]] = [(cudnn, "benchmark")]
        if name.endswith("tf32"):
            self.switches = [(cudnn, "allow_tf32"), (products, "allow_tf32")]
        self.before: list[bool] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Sets the switches."""
        self.before = [getattr(owner, switch) for owner, switch in self.switches]
        for owner, switch in self.switches:
            setattr(owner, switch, self.on)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Restores the switches."""
        for (owner, switch), value in zip(self.switches, self.before, strict=True):
            setattr(owner, switch, value)


def with_callback(callback: type[Callback], **arguments: float | str) -> list[str]:
    """Returns the overrides that add a callback of this module to a run."""
    name = callback.__name__.lower()
    settings = {"_target_": f"{callback.__module__}.{callback.__name__}"} | arguments
    return [f"+callbacks.{name}.{key}={value}" for key, value in settings.items()]
