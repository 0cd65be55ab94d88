from __future__ import annotations

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

from ganforge.compute.launch import find_launch
from ganforge.errors import ConfigError


class RunProcesses(ClusterEnvironment):
    """Cluster environment whose ranks and world size are fixed before training starts.

    Replaces Lightning's SLURM environment, which rejects one task per node and requeues jobs
    automatically.
    """

    def __init__(self) -> None:
        super().__init__()
        launch = find_launch()
        if launch is None:
            raise ConfigError("several processes train together, and this one was started alone")
        self.launch = launch

    @property
    def creates_processes_externally(self) -> bool:
        """Always True: all processes are already running."""
        return True

    @property
    def main_address(self) -> str:
        """Address of rank 0."""
        return self.launch.address

    @property
    def main_port(self) -> int:
        """Port of rank 0."""
        return self.launch.port

    @staticmethod
    def detect() -> bool:
        """Whether this process is one of several."""
        return find_launch() is not None

    def world_size(self) -> int:
        """Number of processes of the run."""
        return self.launch.size

    def set_world_size(self, size: int) -> None:
        """Does nothing: the world size is fixed."""

    def global_rank(self) -> int:
        """Rank of this process among all processes."""
        return self.launch.rank

    def set_global_rank(self, rank: int) -> None:
        """Does nothing: the rank is fixed."""

    def local_rank(self) -> int:
        """Rank of this process on its node."""
        return self.launch.local

    def node_rank(self) -> int:
        """Rank of this node."""
        return self.launch.node
