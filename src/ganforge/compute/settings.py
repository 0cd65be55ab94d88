from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ganforge.compute.hardware import Hardware, Switch, choose_hardware
from ganforge.compute.launch import find_launch
from ganforge.errors import ConfigError


@dataclass(frozen=True)
class TrainerSettings:
    """Training length and hardware of a run, with ``auto`` values not yet resolved.

    Attributes:
        max_steps: generator updates; -1 for no limit.
        max_seconds: seconds of training, without evaluations and checkpoints, after which a run
            ends; null for no limit. Accumulates over resumes.
        accelerator: auto, cpu, gpu, cuda or mps.
        devices: processes per node, one per device; auto uses all devices.
        num_nodes: number of nodes; auto uses the number that the launcher has started.
        strategy: auto or ddp.
        precision: auto, 32-true, bf16-mixed or 16-mixed.
        channels_last: memory layout of images and convolutions; auto enables it where it is faster.
        fused: fused optimizer kernels; auto enables them where they are faster.
        log_every_n_steps: steps between logged points.
        deterministic: use bitwise reproducible GPU algorithms, at some cost in speed.
        profiler: null, simple, advanced or pytorch.
        detect_anomaly: report the operation that produced a NaN; slow.
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
        """Returns the hardware settings, with every "auto" resolved for this machine and launch."""
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
