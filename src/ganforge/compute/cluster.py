from __future__ import annotations

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

from ganforge.compute.launch import find_launch
from ganforge.errors import ConfigError


class RunProcesses(ClusterEnvironment):
    """What Lightning asks of a cluster: the place of this process, settled before training.

    Takes the place of Lightning's own SLURM environment, which refuses one task for each node and
    requeues by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        launch = find_launch()
        if launch is None:
            raise ConfigError("several processes train together, and this one was started alone")
        self.launch = launch

    @property
    def creates_processes_externally(self) -> bool:
        """True: they are all there."""
        return True

    @property
    def main_address(self) -> str:
        """Where the first process can be reached."""
        return self.launch.address

    @property
    def main_port(self) -> int:
        """And on which port."""
        return self.launch.port

    @staticmethod
    def detect() -> bool:
        """Whether several processes were started."""
        return find_launch() is not None

    def world_size(self) -> int:
        """Processes of the run."""
        return self.launch.size

    def set_world_size(self, size: int) -> None:
        """Does nothing: it is settled."""

    def global_rank(self) -> int:
        """Number of this process among all."""
        return self.launch.rank

    def set_global_rank(self, rank: int) -> None:
        """Does nothing: it is settled."""

    def local_rank(self) -> int:
        """Number of this process on its machine."""
        return self.launch.local

    def node_rank(self) -> int:
        """Number of this machine."""
        return self.launch.node
