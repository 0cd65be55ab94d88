from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from ganforge.compute.devices import (
    TENSOR_CORES,
    capability,
    computes_bf16,
    describe,
    find_accelerator,
    gpu_names,
    has_tf32,
)
from ganforge.compute.launch import Launch, find_launch
from ganforge.compute.threads import check_threads
from ganforge.errors import ConfigError

Switch = Literal["auto", True, False]
TF32 = Literal["off", "training", "everywhere"]

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
STRATEGIES = ("auto", "ddp")
_TF32_FACTS = {"off": "no TF32", "training": "TF32 in training", "everywhere": "TF32"}


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
        tf32: where float32 products are rounded to TF32: "off", "training" (but not in samples and
            scores) or "everywhere"; None if the device does not know TF32.
        compiled: how networks are compiled: "none", "default" or "max".
        graphs: whether updates are recorded as CUDA graphs and replayed.
        warnings: settings that work, but not as the user may expect.
    """

    accelerator: str
    devices: int
    precision: str
    channels_last: bool
    fused: bool
    reason: str
    nodes: int = 1
    tf32: TF32 | None = None
    compiled: str = "none"
    graphs: bool = False
    warnings: tuple[str, ...] = ()

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
        facts += [_TF32_FACTS[self.tf32]] if self.tf32 is not None else []
        facts += [f"compiled ({self.compiled})"] if self.compiled != "none" else []
        facts += ["CUDA graphs"] if self.graphs else []
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
    tf32: Switch = "auto",
) -> Hardware:
    """Returns hardware settings, with every "auto" resolved for this machine and launch.

    Raises:
        ConfigError: a value is unknown, unavailable on this machine, or incompatible with others.
    """
    _refuse_unknown("accelerator", accelerator, ACCELERATORS)
    _refuse_unknown("precision", precision, PRECISIONS)
    _refuse_strategy(strategy)
    kind = find_accelerator(accelerator)
    nodes = _nodes(num_nodes, launch)
    count = _devices(kind, devices, strategy, launch)
    why = [describe(kind, count) if accelerator == "auto" else "as requested"]
    if kind == "cuda" and devices == "auto" and launch is None:
        why += _unused(count)
    chosen = precision
    if precision == "auto":
        chosen = "bf16-mixed" if computes_bf16(kind, count) else "32-true"
        why.append(_precision_reason(kind, chosen, count))
    if chosen == "16-mixed":
        _refuse_scaling(kind, fused)
    layout = kind == "cuda" or (kind == "cpu" and chosen != "32-true")
    return Hardware(
        accelerator=kind,
        devices=count,
        precision=chosen,
        channels_last=layout if channels_last == "auto" else bool(channels_last),
        fused=chosen != "16-mixed" if fused == "auto" else bool(fused),
        reason="; ".join(why),
        nodes=nodes,
        tf32=_tf32(tf32, chosen) if has_tf32(kind, count) else None,
        warnings=_emulated(kind, chosen, count),
    )


def _refuse_unknown(name: str, value: str, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise ConfigError(f"trainer.{name}={value!r} is not one of {', '.join(legal)}")


def _refuse_strategy(strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise ConfigError(
            f"trainer.strategy={strategy!r} is not supported; legal: {', '.join(STRATEGIES)}. Two "
            "players with an optimizer each, updated in turn, need every rank's gradients to be "
            "averaged once an update: sharded strategies (fsdp, deepspeed) take one optimizer or "
            "cannot freeze one player, and ddp_spawn cannot hand the players to its processes."
        )


def _refuse_scaling(kind: str, fused: Switch) -> None:
    """Rejects devices and optimizers that 16-mixed's gradient scaler does not work with."""
    if kind == "mps":
        raise ConfigError("trainer.precision=16-mixed needs a gradient scaler, which MPS lacks")
    # A fused step unscales gradients itself: clipping would see scaled ones.
    if fused is True:
        raise ConfigError(
            "trainer.fused=true does not work with trainer.precision=16-mixed: a fused optimizer "
            "unscales gradients only after they are clipped. Use trainer.fused=false or bf16-mixed"
        )


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


def _devices(kind: str, wanted: int | str, strategy: str, launch: Launch | None) -> int:
    present = torch.cuda.device_count() if kind == "cuda" else 1
    # With one SLURM task per node, that task starts the other processes of its node.
    one_each = launch is None or (launch.launcher == "srun" and launch.per_node == 1)
    started = None if one_each or launch is None else launch.per_node
    if wanted == "auto":
        # Several GPUs divide the batch, which changes small models for the worse (BatchNorm over
        # fewer images) and does not speed them up: they are used only on request.
        wanted = started or (1 if launch is None and strategy == "auto" else present)
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


def _unused(count: int) -> list[str]:
    present = torch.cuda.device_count()
    return [f"{count} of {present} GPUs: trainer=gpus uses all"] if present > count else []


def _precision_reason(kind: str, precision: str, count: int) -> str:
    if kind == "mps":
        return "MPS is most reliable in float32"
    device = "CPU" if kind == "cpu" else "GPU"
    if precision == "bf16-mixed":
        return f"the {device} has native bf16 arithmetic"
    if kind == "cpu":
        return "the CPU lacks native bf16 arithmetic"
    lack = "the GPU lacks" if len(gpu_names(count)) == 1 else "not all GPUs have"
    faster = ", trainer.precision=16-mixed is faster" if capability(count) >= TENSOR_CORES else ""
    return f"{lack} native bf16 arithmetic{faster}"


def _emulated(kind: str, precision: str, count: int) -> tuple[str, ...]:
    if kind != "cuda" or precision != "bf16-mixed" or computes_bf16(kind, count):
        return ()
    names = " and ".join(gpu_names(count))
    return (
        f"trainer.precision=bf16-mixed: {names} can only emulate bfloat16, which is slower than "
        "float32. Use trainer.precision=16-mixed, or 32-true",
    )


def _tf32(wanted: Switch, precision: str) -> TF32:
    if wanted == "auto":
        return "off" if precision == "32-true" else "training"
    return "everywhere" if wanted else "off"


@dataclass(frozen=True)
class TrainerSettings:
    """Training length and hardware of a run, with ``auto`` values not yet resolved.

    Attributes:
        max_steps: generator updates; -1 for no limit.
        max_seconds: seconds of training, without evaluations and checkpoints, after which a run
            ends; null for no limit. Accumulates over resumes.
        accelerator: auto, cpu, gpu, cuda or mps.
        devices: processes per node, one per device; auto uses one, all GPUs with strategy=ddp, or
            as many as the launcher has started.
        num_nodes: number of nodes; auto uses the number that the launcher has started.
        strategy: auto or ddp.
        precision: auto, 32-true, bf16-mixed or 16-mixed.
        channels_last: memory layout of images and convolutions; auto enables it where it is faster.
        fused: fused optimizer kernels; auto enables them where they are faster.
        sync_batchnorm: whether BatchNorm normalizes over the images of all processes, in place of
            those of each process.
        compile: whether torch.compile fuses the networks' operations: none or null, default, max
            (tries more kernels) or auto (default on GPUs that can). The first steps then take
            minutes. Updates with a penalty on a gradient run uncompiled.
        cuda_graphs: replay updates that were recorded as CUDA graphs; auto where it is possible.
        threads: CPU threads of each process; auto uses the cores that are free; null leaves
            PyTorch's number.
        tf32: round the inputs of float32 convolutions and matrix products on NVIDIA GPUs to 10
            bits of mantissa. auto does so in mixed-precision training, whose other products are
            coarser, but not with 32-true, and not in samples and scores; true does so everywhere.
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
    compile: Literal["none", "auto", "default", "max"] | None = "none"
    cuda_graphs: Switch = False
    threads: int | str | None = None
    tf32: Switch = "auto"
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
        wanted = self.accelerator, self.devices, self.strategy, self.precision
        switches = self.channels_last, self.fused
        return choose_hardware(*wanted, *switches, self.num_nodes, find_launch(), self.tf32)
