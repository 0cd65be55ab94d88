from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ganforge import cores
from ganforge.cores import (
    CORES_VARIABLE,
    Cores,
    allowed,
    quota_of,
    thread_per_core,
    typed_threads,
)

NO_QUOTA = "max 100000"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 8 cores with two hardware threads each: CPU n and n + 8 share a core."""
    for cpu in range(16):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 8},{cpu % 8 + 8}\n")
    monkeypatch.setattr(cores.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(cores, "allowed", lambda: set(range(16)))
    return tmp_path


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")


def test_two_hardware_threads_are_one_core(machine):
    assert Cores.find({}, machine) == Cores(8, "cores")


def test_affinity_limits_the_cores(machine, monkeypatch):
    monkeypatch.setattr(cores, "allowed", lambda: {0, 1, 8})  # 0 and 8 share a core
    assert Cores.find({}, machine) == Cores(2, "CPU affinity")


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "250000 100000"}, 2.5),
        # A group above has the lower limit.
        (
            {
                "proc/self/cgroup": "0::/user/run",
                "sys/fs/cgroup/user/run/cpu.max": "400000 100000",
                "sys/fs/cgroup/user/cpu.max": "300000 100000",
                "sys/fs/cgroup/cpu.max": NO_QUOTA,
            },
            3.0,
        ),
        # A container names its group as the host does, but mounts only the group itself.
        ({"proc/self/cgroup": "0::/docker/abc", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        (
            {
                "proc/self/cgroup": "4:memory:/x\n1:cpu,cpuacct:/job",
                "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "200000",
                "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "50000",
            },
            4.0,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": NO_QUOTA}, None),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "damaged"}, None),
        ({"proc/self/cgroup": "damaged", "sys/fs/cgroup/cpu.max": "400000 100000"}, 4.0),
        ({}, None),
    ],
    ids=[
        "v2",
        "above",
        "container",
        "v1",
        "v1 none",
        "v2 none",
        "damaged",
        "damaged list",
        "no groups",
    ],
)
def test_quota_of_the_control_group(tmp_path, files, quota):
    put(tmp_path, files)
    assert quota_of(tmp_path) == quota


def test_the_smallest_limit_counts(machine):
    put(machine, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "350000 100000"})
    assert Cores.find({}, machine) == Cores(3, "CPU quota")
    assert Cores.find({"SLURM_CPUS_PER_TASK": "4"}, machine) == Cores(3, "CPU quota")
    assert Cores.find({"SLURM_CPUS_PER_TASK": "2"}, machine) == Cores(2, "SLURM_CPUS_PER_TASK")
    assert Cores.find({CORES_VARIABLE: "1"}, machine) == Cores(1, "share of the sweep")
    assert Cores.find({CORES_VARIABLE: "none"}, machine) == Cores(3, "CPU quota")
    put(machine, {"sys/fs/cgroup/cpu.max": "50000 100000"})
    assert Cores.find({}, machine) == Cores(1, "CPU quota")


def test_affinity_is_unknown_on_macos(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 8}, raising=False)
    assert allowed() == {3, 5, 8}
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert allowed() == {0}


def test_load_of_the_host_does_not_count_against_a_quota(machine):
    put(machine, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "400000 100000"})
    quota = Cores.find({}, machine)
    assert (quota, quota.common) == (Cores(4, "CPU quota"), 8)
    assert [quota.share(others=busy) for busy in (0.0, 4.0, 5.0, 9.0)] == [4, 4, 3, 1]
    assert quota.share(2) == 2
    put(machine, {"sys/fs/cgroup/cpu.max": NO_QUOTA})
    assert [Cores.find({}, machine).share(others=busy) for busy in (0.0, 4.0, 9.0)] == [8, 4, 1]


SRUN = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2"}  # 4 on this machine


@pytest.mark.parametrize(
    ("variables", "bound", "share"),
    [
        ({}, {0, 8, 1, 9}, 1),
        # srun binds each task to CPUs of its own, or leaves all of the node to all tasks.
        (SRUN | {"SLURM_CPUS_PER_TASK": "4", "SLURM_CPUS_ON_NODE": "16"}, {0, 8, 1, 9}, 2),
        (SRUN | {"SLURM_CPUS_ON_NODE": "16"}, {0, 8, 1, 9}, 2),
        (SRUN | {"SLURM_CPUS_ON_NODE": "8"}, {0, 8, 1, 9, 2, 10, 3, 11}, 1),
        (SRUN | {"SLURM_CPUS_PER_TASK": "3"}, set(range(16)), 3),
        # One task, of which torchrun or the run itself starts four processes.
        ({"SLURM_CPUS_PER_TASK": "4"}, set(range(16)), 1),
        (SRUN | {"SLURM_CPUS_PER_TASK": "4", "WORLD_SIZE": "4"}, set(range(16)), 1),
        ({CORES_VARIABLE: "2"}, set(range(16)), 2),  # the sweep has divided by the processes
    ],
)
def test_cores_of_one_task_are_not_divided_again(machine, monkeypatch, variables, bound, share):
    monkeypatch.setattr(cores, "allowed", lambda: bound)
    assert Cores.find(variables, machine).share(4) == share


def test_threads_that_the_user_typed():
    given = [typed_threads({"OMP_NUM_THREADS": text}) for text in ("4", " 4,2", "0", "", "many")]
    assert given == [4, 4, None, None, None]
    assert typed_threads({"OMP_NUM_THREADS": "4", CORES_VARIABLE: "4"}) is None


def test_an_interrupted_pool_begins_nothing_more():
    begun, waiting, end = [], [], threading.Event()

    def work() -> None:
        begun.append(1)
        end.wait(5)

    def interrupted() -> None:
        with thread_per_core() as threads:
            waiting.extend(threads.submit(work) for _ in range(100))
            waiting[-1].add_done_callback(lambda future: end.set())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert waiting[-1].cancelled()
    assert len(begun) <= Cores.find().count
