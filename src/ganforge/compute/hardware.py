from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from ganforge.compute.launch import Launch, find_launch
from ganforge.compute.threads import check_threads
from ganforge.errors import ConfigError

Switch = Literal["auto", True, False]

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
STRATEGIES = ("auto", "ddp")


@dataclass(frozen=True)
class Hardware:
    """Resolved hardware settings of a run.

    Attributes:
        accelerator: "cpu", "cuda" or "mps".
        devices: processes per node, one per device.
        precision: Lightning's name of the precision.
        channels_last: whether images and convolution weights use the channels-last layout.
        fused: whether optimizers update all weights in one kernel.
        reason: why these settings were chosen, for the user.
        nodes: number of nodes.
    """

    accelerator: str
    devices: int
    precision: str
    channels_last: bool
    fused: bool
    reason: str
    nodes: int = 1

    @property
    def processes(self) -> int:
        """Total number of processes, which share each batch."""
        return self.nodes * self.devices

    def alone(self) -> Hardware:
        """Returns the same settings for a single process."""
        return replace(self, devices=1, nodes=1)

    def __str__(self) -> str:
        switches = {"channels_last": self.channels_last, "fused optimizers": self.fused}
        count = f"{self.nodes} nodes x " if self.nodes > 1 else ""
        count += f"{self.devices} x " if self.processes > 1 else ""
        facts = [f"{count}{self.accelerator}", self.precision]
        facts += [name for name, on in switches.items() if on]
        return f"{', '.join(facts)} ({self.reason})"


def choose_hardware(
    accelerator: str = "auto",
    devices: int | str = "auto",
    strategy: str = "auto",
    precision: str = "auto",
    channels_last: Switch = "auto",
    fused: Switch = "auto",
    num_nodes: int | str = "auto",
    launch: Launch | None = None,
) -> Hardware:
    """Returns hardware settings, with every "auto" resolved for this machine and launch.

    Raises:
        ConfigError: a value is unknown, unavailable on this machine, or incompatible with others.
    """
    _refuse_unknown("accelerator", accelerator, ACCELERATORS)
    _refuse_unknown("precision", precision, PRECISIONS)
    if strategy not in STRATEGIES:
        raise ConfigError(
            f"trainer.strategy={strategy!r} is not supported; legal: {', '.join(STRATEGIES)}. Two "
            "players with an optimizer each, updated in turn, need every rank's gradients to be "
            "averaged at each backward: sharded strategies (fsdp, deepspeed) take one optimizer or "
            "cannot freeze one player, and ddp_spawn cannot hand the players to its processes."
        )
    kind, why = _accelerator(accelerator)
    nodes = _nodes(num_nodes, launch)
    count = _devices(kind, devices, launch)
    chosen = _precision(kind) if precision == "auto" else precision
    reason = f"{why}; {_precision_reason(kind, chosen)}" if precision == "auto" else why
    if kind == "mps" and chosen == "16-mixed":
        raise ConfigError("trainer.precision=16-mixed needs a gradient scaler, which MPS lacks")
    # With 16-mixed, a fused step unscales gradients itself: clipping would see scaled ones.
    if fused is True and chosen == "16-mixed":
        raise ConfigError(
            "trainer.fused=true does not work with trainer.precision=16-mixed: a fused optimizer "
            "unscales gradients only after they are clipped. Use trainer.fused=false or bf16-mixed"
        )
    layout = kind == "cuda" or (kind == "cpu" and chosen != "32-true")
    return Hardware(
        accelerator=kind,
        devices=count,
        precision=chosen,
        channels_last=layout if channels_last == "auto" else bool(channels_last),
        fused=chosen != "16-mixed" if fused == "auto" else bool(fused),
        reason=reason,
        nodes=nodes,
    )


def has_native_bf16() -> bool:
    """Whether the CPU supports bfloat16 arithmetic (AVX512-BF16, AMX, or ARM's extension)."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    native = {"avx512_bf16", "amx_bf16"} if platform.machine() in ("x86_64", "AMD64") else {"bf16"}
    return not native.isdisjoint(flags)


def _refuse_unknown(name: str, value: str, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise ConfigError(f"trainer.{name}={value!r} is not one of {', '.join(legal)}")


def _accelerator(wanted: str) -> tuple[str, str]:
    if wanted in ("gpu", "cuda"):
        if torch.cuda.is_available():
            return "cuda", "as requested"
        if wanted == "gpu" and torch.backends.mps.is_available():
            return "mps", "as requested"
        raise ConfigError(f"trainer.accelerator={wanted}: no GPU found")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("trainer.accelerator=mps: this machine has no MPS device")
    if wanted != "auto":
        return wanted, "as requested"
    if torch.cuda.is_available():
        return "cuda", f"found {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return "mps", "found MPS"
    return "cpu", "no GPU found"


def _nodes(wanted: int | str, launch: Launch | None) -> int:
    started = launch.nodes if launch is not None else 1
    if wanted == "auto":
        return started
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise ConfigError(f"trainer.num_nodes must be a number from 1 or auto, got {wanted!r}")
    if wanted != started:
        raise ConfigError(
            f"trainer.num_nodes={wanted}, but this run was started on {started}. Start it on each "
            f"node, as by torchrun --nnodes={wanted} or srun --nodes={wanted}; or use auto"
        )
    return wanted


def _devices(kind: str, wanted: int | str, launch: Launch | None) -> int:
    present = torch.cuda.device_count() if kind == "cuda" else 1
    # With one SLURM task per node, that task starts the other processes of its node.
    one_each = launch is None or (launch.launcher == "srun" and launch.per_node == 1)
    started = None if one_each or launch is None else launch.per_node
    if wanted == "auto":
        wanted = started or present
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise ConfigError(f"trainer.devices must be a number from 1 or auto, got {wanted!r}")
    if launch is not None and started not in (None, wanted):
        flag = {"torchrun": "--nproc-per-node", "srun": "--ntasks-per-node"}
        raise ConfigError(
            f"trainer.devices={wanted}, but {launch.launcher} started {started} on each node; "
            f"use {flag.get(launch.launcher, 'devices')}={wanted}, or trainer.devices=auto"
        )
    if kind != "cpu" and wanted > present:
        raise ConfigError(
            f"trainer.devices={wanted}, but this machine has {present} of {kind}{_hidden(launch)}"
        )
    return wanted


def _hidden(launch: Launch | None) -> str:
    srun = launch is not None and launch.launcher == "srun"
    return " visible to each task; use --gpus-per-node, not --gpus-per-task" if srun else ""


def _precision(kind: str) -> str:
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = kind == "cpu" and has_native_bf16()
    return "bf16-mixed" if native else "32-true"


def _precision_reason(kind: str, precision: str) -> str:
    having = "has" if precision == "bf16-mixed" else "lacks"
    return (
        f"the {'CPU' if kind == 'cpu' else 'GPU'} {having} native bf16 arithmetic"
        if kind != "mps"
        else "MPS is most reliable in float32"
    )


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
        sync_batchnorm: whether BatchNorm normalizes over the images of all processes, in place of
            those of each process.
        compile: whether torch.compile fuses the networks' operations: none, default, max (tries
            more kernels) or auto (default on GPUs that can). The first steps then take minutes.
            Updates with a penalty on a gradient run uncompiled.
        threads: CPU threads of each process; auto uses the cores that are free; null leaves
            PyTorch's number.
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
    sync_batchnorm: bool = False
    compile: Literal["none", "auto", "default", "max"] = "none"
    threads: int | str | None = None
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
        check_threads(self.threads)
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
