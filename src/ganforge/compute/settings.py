from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ganforge.compute.hardware import Hardware, Switch, choose_hardware
from ganforge.compute.launch import find_launch
from ganforge.errors import ConfigError


@dataclass(frozen=True)
class TrainerSettings:
    """How long a run trains, and on what.

    Attributes:
        max_steps: generator updates; -1 for no limit.
        max_seconds: seconds of training (evaluations and checkpoints are not counted) after which
            a run ends; null for no limit. Counted on over resumes.
        accelerator: auto, cpu, gpu, cuda or mps.
        devices: processes on each machine, one for each device, or auto for all there are.
        num_nodes: machines that a launcher has started the run on, or auto for what it says.
        strategy: auto or ddp.
        precision: auto, 32-true, bf16-mixed or 16-mixed.
        channels_last: memory layout of images and convolutions; auto: where it pays.
        fused: one kernel for an optimizer's step; auto: where it pays.
        log_every_n_steps: steps between logged points.
        deterministic: algorithms on a GPU that repeat bit by bit, at some cost.
        profiler: null, simple, advanced or pytorch.
        detect_anomaly: finds the operation that made a NaN; slow.
    """

    max_steps: int = 1000
    max_seconds: float | None = None
    accelerator: str = "auto"
    devices: int | str = "auto"
    num_nodes: int | str = "auto"
    strategy: str = "auto"
    precision: str = "auto"
    channels_last: Switch = "auto"
    fused: Switch = "auto"
    log_every_n_steps: int = 50
    deterministic: bool = False
    profiler: Literal["simple", "advanced", "pytorch"] | None = None
    detect_anomaly: bool = False

    def __post_init__(self) -> None:
        if self.max_steps < 1 and self.max_steps != -1:
            raise ConfigError(f"trainer.max_steps must be at least 1, or -1; got {self.max_steps}")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise ConfigError(f"trainer.max_seconds must be above 0, got {self.max_seconds}")
        if self.max_steps == -1 and self.max_seconds is None:
            raise ConfigError("trainer.max_steps=-1 never ends: give trainer.max_seconds too")
        if self.log_every_n_steps < 1:
            raise ConfigError(
                f"trainer.log_every_n_steps must be at least 1, got {self.log_every_n_steps}"
            )

    def hardware(self) -> Hardware:
        """Settles every "auto" by what this machine has, and by how the run was started."""
        return choose_hardware(
            self.accelerator,
            self.devices,
            self.strategy,
            self.precision,
            self.channels_last,
            self.fused,
            self.num_nodes,
            find_launch(),
        )
