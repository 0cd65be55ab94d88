"""Detection of the launcher (torchrun, srun, ganforge) and of this process's rank."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ganforge.errors import ConfigError

# Variables that torchrun sets for each process, and ganforge for the processes it starts itself.
VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PORTS = (15000, 17000)  # first port and number of ports, below the ephemeral range


@dataclass(frozen=True)
class Launch:
    """The rank of a process, and the processes that were launched with it for one run.

    Attributes:
        launcher: "torchrun", "srun", or "ganforge" for processes that the run starts itself.
        node: rank of this node.
        nodes: number of nodes.
        local: rank of this process on its node.
        per_node: number of processes per node.
        address: address of rank 0.
        port: port of rank 0.
    """

    launcher: str
    node: int
    nodes: int
    local: int
    per_node: int
    address: str
    port: int

    @property
    def rank(self) -> int:
        """Rank of this process among all processes."""
        return self.node * self.per_node + self.local

    @property
    def size(self) -> int:
        """Number of processes of the run."""
        return self.nodes * self.per_node

    def environment(self) -> dict[str, str]:
        """Returns the environment variables that describe this rank, as torchrun sets them."""
        return {
            "RANK": str(self.rank),
            "LOCAL_RANK": str(self.local),
            "NODE_RANK": str(self.node),
            "WORLD_SIZE": str(self.size),
            "LOCAL_WORLD_SIZE": str(self.per_node),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


def find_launch(environment: Mapping[str, str] | None = None) -> Launch | None:
    """Returns the launch that this process belongs to; None if it is the only process.

    torchrun's variables take precedence, because srun may have started torchrun's agents.

    Args:
        environment: environment variables; those of this process by default.

    Raises:
        ConfigError: there are several processes, but the variables for their rendezvous are
            missing or inconsistent.
    """
    variables = os.environ if environment is None else environment
    if _number(variables, "WORLD_SIZE", 1) > 1:
        return _of_torchrun(variables)
    if _number(variables, "SLURM_STEP_NUM_TASKS", 1) > 1:
        return _of_srun(variables)
    return None


def is_first(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this process is rank 0 (true if the rank cannot be determined)."""
    with contextlib.suppress(ConfigError):
        launch = find_launch(environment)
        return launch is None or launch.rank == 0
    return True


def refuse_launcher(what: str) -> None:
    """Rejects a launcher for a command in which every process would repeat the whole work.

    Args:
        what: the command, for the message.

    Raises:
        ConfigError: this process is one of several. The message names the alternatives.
    """
    launch = find_launch()
    if launch is not None:
        raise ConfigError(
            f"{what} cannot run under {launch.launcher}: each of its {launch.size} processes "
            "would do all of it. Start it without a launcher; trainer.devices=N starts the "
            "processes of a run, and -m hydra/launcher=slurm hydra.launcher.nodes=N those on more "
            "machines"
        )


def first_host(nodes: str) -> str:
    """Returns the first host of a SLURM node list: "gpu03" for "gpu[03-05,9],cpu1"."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first.group() if first else nodes)


def _of_torchrun(variables: Mapping[str, str]) -> Launch:
    missing = [name for name in VARIABLES if not variables.get(name)]
    if missing:
        raise ConfigError(
            f"this process was started as one of several (WORLD_SIZE is set), but {missing[0]} is "
            "not set, which they need to find each other. Use torchrun or srun; or, on one "
            "machine, trainer=ddp trainer.devices=N without a launcher"
        )
    numbers = [_number(variables, name, 0) for name in VARIABLES if name != "MASTER_ADDR"]
    rank, local, size, per_node, port = numbers
    launcher = "ganforge" if variables.get("GANFORGE_PEER") == "1" else "torchrun"
    if size % per_node or rank % per_node != local:
        raise ConfigError(
            f"process {rank} of {size} is number {local} of {per_node} on its machine: give every "
            "machine as many processes as the others (torchrun --nproc-per-node)"
        )
    position = (rank // per_node, size // per_node, local, per_node)
    return Launch(launcher, *position, variables["MASTER_ADDR"], port)


def _of_srun(variables: Mapping[str, str]) -> Launch:
    tasks, nodes = (
        _number(variables, "SLURM_STEP_NUM_TASKS", 1),
        _number(variables, "SLURM_STEP_NUM_NODES", 1),
    )
    if tasks % nodes:
        raise ConfigError(
            f"srun started {tasks} tasks on {nodes} nodes; give each node as many as the others "
            "(--ntasks-per-node)"
        )
    # All tasks derive the same port without communication; job steps on one host rarely collide.
    job = _number(variables, "SLURM_JOB_ID", 0) * 31 + _number(variables, "SLURM_STEP_ID", 0)
    listed = (
        variables.get("SLURM_STEP_NODELIST") or variables.get("SLURM_JOB_NODELIST") or "127.0.0.1"
    )
    return Launch(
        launcher="srun",
        node=_number(variables, "SLURM_NODEID", 0),
        nodes=nodes,
        local=_number(variables, "SLURM_LOCALID", 0),
        per_node=tasks // nodes,
        address=variables.get("MASTER_ADDR") or first_host(listed),
        port=_number(variables, "MASTER_PORT", PORTS[0] + job % PORTS[1]),
    )


def _number(variables: Mapping[str, str], name: str, default: int) -> int:
    value = variables.get(name) or str(default)
    if not value.isdigit():
        raise ConfigError(f"{name}={value!r} is not a number; a launcher sets it")
    return int(value)
