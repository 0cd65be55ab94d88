from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganforge.compute import cores
from ganforge.compute.cores import CORES_VARIABLE, Cores, Load, Reading, quota_of

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
        ({}, None),
    ],
    ids=["v2", "above", "container", "v1", "v1 none", "v2 none", "no groups"],
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


def test_cores_of_others_are_the_busy_ones_without_the_own():
    before = Reading(at=10.0, busy=100.0, own=5.0)
    assert before.others_until(Reading(at=14.0, busy=110.0, own=7.0)) == pytest.approx(2.0)
    assert before.others_until(Reading(at=14.0, busy=101.0, own=9.0)) == 0.0
    assert before.others_until(before) == 0.0


def test_the_load_is_unknown_right_after_the_first_reading_and_without_proc(monkeypatch):
    clock = iter([Reading(0.0, 0.0, 0.0), Reading(0.1, 9.0, 0.0), Reading(2.0, 5.0, 1.0), None])
    monkeypatch.setattr(Reading, "take", lambda: next(clock))
    load = Load()
    assert load._first is None
    load._first = Reading.take()
    assert load.others() is None
    assert load.others() == pytest.approx(2.0)
    assert load.others() is None


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="needs Linux's /proc")
def test_time_of_living_children_is_own_time():
    work = "import sys, time\nwhile time.process_time() < 0.3: pass\n"
    work += "print(flush=True)\nsys.stdin.read()"
    before = Reading.take()
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-S", "-c", work], **streams) as child:
        assert child.stdout.readline()
        after = Reading.take()
        child.stdin.close()
    assert after.own - before.own >= 0.25  # in ticks of 0.01 s
    assert after.busy - before.busy >= after.own - before.own - 0.1
    assert before.at < after.at < time.monotonic()
