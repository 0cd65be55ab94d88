from __future__ import annotations

import os
import signal
import time

import pytest

from ganforge.compute.hardware import choose_hardware
from ganforge.compute.launch import Launch, find_launch, first_host, is_first, refuse_launcher
from ganforge.compute.rank_zero import end_with_starter
from ganforge.errors import ConfigError
from ganforge.processes import is_living
from tests.support.forking import fork, wait

TORCHRUN = {
    "RANK": "5",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "8",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "gpu1",
    "MASTER_PORT": "29500",
}
SRUN = {
    "SLURM_JOB_ID": "1000",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_NODEID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_PROCID": "5",
}


# ---------------------------------------------------------------------- the place of a process


def test_torchrun_sets_the_rank():
    launch = find_launch(TORCHRUN)
    assert launch == Launch("torchrun", 1, 2, 1, 4, "gpu1", 29500)
    assert (launch.rank, launch.size) == (5, 8)


def test_srun_sets_the_same_rank():
    launch = find_launch(SRUN)
    # The port follows from the job, so that all its tasks know it: 15000 + 1000 * 31 % 17000.
    assert launch == Launch("srun", 1, 2, 1, 4, "gpu07", 29000)
    assert (launch.rank, launch.size) == (5, 8)


def test_tasks_dealt_in_turn_are_numbered_by_node():
    dealt = SRUN | {"SLURM_PROCID": "3"}  # --distribution=cyclic: task 3 is the second of node 1
    assert find_launch(dealt).rank == 5


def test_torchrun_under_srun_counts():
    assert find_launch(SRUN | TORCHRUN).launcher == "torchrun"


def test_the_user_may_name_address_and_port():
    launch = find_launch(SRUN | {"MASTER_ADDR": "ib3", "MASTER_PORT": "1234"})
    assert (launch.address, launch.port) == ("ib3", 1234)


@pytest.mark.parametrize("told", [{}, {"WORLD_SIZE": "1"}, {"SLURM_STEP_NUM_TASKS": "1"}])
def test_one_process_has_no_launch(told):
    assert find_launch(told) is None
    assert is_first(told)


def test_a_batch_script_without_srun_is_one_process():
    """There SLURM_NTASKS says how many srun would start, and SLURM_PROCID is 0."""
    assert find_launch({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}) is None


def test_a_launch_is_read_back_from_its_variables():
    launch = find_launch(TORCHRUN)
    assert find_launch(launch.environment()) == launch
    told = launch.environment() | {"GANFORGE_PEER": "1"}
    assert find_launch(told).launcher == "ganforge"


@pytest.mark.parametrize(("rank", "first"), [("0", True), ("1", False)])
def test_only_rank_zero_is_first(rank, first):
    told = TORCHRUN | {"RANK": rank, "LOCAL_RANK": rank}
    assert is_first(told) == first
    assert is_first(SRUN | {"SLURM_NODEID": "0", "SLURM_LOCALID": rank}) == first


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu1", "gpu1"),
        ("gpu1,gpu2", "gpu1"),
        ("gpu[03-05,9],cpu1", "gpu03"),
        ("gpu[7,9]", "gpu7"),
        ("rack[1-2]node[3-4]", "rack1node3"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_the_first_host_of_a_list(nodes, first):
    assert first_host(nodes) == first


# ---------------------------------------------------------------------- what cannot work


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"WORLD_SIZE": "2"}, "RANK is not set.*torchrun or srun.*trainer.devices=N"),
        (TORCHRUN | {"LOCAL_WORLD_SIZE": "3"}, "as many processes as the others"),
        (SRUN | {"SLURM_STEP_NUM_TASKS": "7"}, "7 tasks on 2 nodes"),
        (TORCHRUN | {"RANK": "x"}, "RANK='x' is not a number"),
    ],
)
def test_inconsistent_ranks_are_rejected(told, message):
    with pytest.raises(ConfigError, match=message):
        find_launch(told)


def test_a_sweep_under_a_launcher_is_refused(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"a sweep .* torchrun: each of its 8 processes"):
        refuse_launcher("a sweep (-m)")


def hardware(launch: Launch | None, devices: int | str = "auto", nodes: int | str = "auto"):
    return choose_hardware("cpu", devices, precision="32-true", num_nodes=nodes, launch=launch)


def test_what_a_launcher_started_is_taken():
    found = hardware(find_launch(TORCHRUN))
    assert (found.devices, found.nodes, found.processes) == (4, 2, 8)
    assert str(found).startswith("2 nodes x 4 x cpu")
    assert hardware(find_launch(TORCHRUN), 4, 2) == found
    assert hardware(None).processes == 1


def test_one_task_per_node_starts_the_other_processes_of_the_node():
    one_each = find_launch(SRUN | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0"})
    assert hardware(one_each, 3).processes == 6


@pytest.mark.parametrize(
    ("told", "devices", "nodes", "message"),
    [
        (None, 1, 2, r"num_nodes=2, but this run was started on 1.*torchrun --nnodes=2"),
        (TORCHRUN, "auto", 3, "num_nodes=3, but this run was started on 2"),
        (TORCHRUN, 2, "auto", "devices=2, but torchrun started 4.*--nproc-per-node=2"),
        (SRUN, 2, "auto", "devices=2, but srun started 4.*--ntasks-per-node=2"),
        (None, 1, 0, "num_nodes must be a number from 1 or auto, got 0"),
        (None, 1, True, "num_nodes must be a number from 1 or auto, got True"),
    ],
)
def test_numbers_that_contradict_the_launcher_are_rejected(told, devices, nodes, message):
    with pytest.raises(ConfigError, match=message):
        hardware(find_launch(told or {}), devices, nodes)


def test_a_worker_ends_when_the_process_that_started_it_is_killed():
    """Without the watch, it would wait for the others in a collective of a GPU."""
    read, write = os.pipe()

    def worker():
        end_with_starter()
        os.write(write, str(os.getpid()).encode())
        time.sleep(60)

    starter = fork(lambda: wait(fork(worker)))
    pid = int(os.read(read, 100))
    os.kill(starter, signal.SIGKILL)
    wait(starter)
    deadline = time.monotonic() + 30
    while is_living(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_living(pid)
