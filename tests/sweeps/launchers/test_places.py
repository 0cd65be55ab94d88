from __future__ import annotations

import pytest
import torch

from ganforge.compute.load import Load
from ganforge.cores import CORES_VARIABLE, Cores
from ganforge.errors import ConfigError
from ganforge.sweeps.launchers import places
from ganforge.sweeps.launchers.places import Need, Places, choose_places, pays, visible_gpus

CPU = Need()
GPU = Need("cuda")


@pytest.fixture
def machine(monkeypatch):
    """Sets the GPUs, cores, busy cores and GiB of free memory of this machine."""

    def machine(gpus: int = 0, cores: int = 8, busy: float = 0.0, memory: int = 64) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(Cores, "find", lambda: Cores(cores, "cores"))
        monkeypatch.setattr(Load, "others", lambda load: busy)
        monkeypatch.setattr(places, "free_memory", lambda: memory * 1024**3)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    machine()
    return machine


def share(places: Places) -> str:
    return places.variables[CORES_VARIABLE]


# ---------------------------------------------------------------------- how many


@pytest.mark.parametrize(
    ("cores", "busy", "memory", "jobs", "at_once", "each"),
    [
        (2, 0.0, 64, 4, 2, "1"),
        (16, 0.0, 64, 4, 4, "4"),
        (16, 0.0, 64, 3, 3, "5"),
        (16, 6.0, 64, 4, 4, "2"),
        (16, 0.0, 8, 16, 4, "4"),  # 2 GiB for each job
        (2, 1.0, 64, 4, 1, None),
        (8, 0.0, 0, 4, 1, None),
    ],
)
def test_jobs_on_the_cpu_divide_the_free_cores(machine, cores, busy, memory, jobs, at_once, each):
    machine(0, cores, busy, memory)
    chosen = choose_places([CPU] * jobs)
    assert chosen.at_once == at_once
    assert chosen.variables.get(CORES_VARIABLE) == chosen.variables.get("OMP_NUM_THREADS") == each


def test_a_number_of_threads_is_kept(machine, monkeypatch):
    assert choose_places([CPU] * 8, threads=3).variables == {"OMP_NUM_THREADS": "3"}
    assert choose_places([Need(threads=4)] * 8).at_once == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    chosen = choose_places([CPU] * 8)
    assert (chosen.at_once, chosen.variables) == (4, {})


def test_processes_of_a_job_divide_its_share(machine):
    chosen = choose_places([Need(processes=2), CPU, CPU, CPU])
    assert (chosen.at_once, share(chosen)) == (4, "1")
    assert choose_places([Need(processes=8)] * 4).at_once == 1


def test_each_gpu_takes_one_job(machine):
    machine(gpus=4, cores=16)
    chosen = choose_places([GPU] * 9)
    assert (chosen.at_once, chosen.gpus, share(chosen)) == (4, ["0", "1", "2", "3"], "4")
    assert choose_places([GPU] * 9, gpus=2).gpus == ["0", "1"]
    assert choose_places([GPU] * 9, gpus=0).gpus == []
    assert choose_places([Need("mps")] * 9).at_once == 1


def test_too_few_gpus_are_refused(machine):
    machine(gpus=2)
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.gpus=3, but this machine has 2"):
        choose_places([GPU], gpus=3)
    with pytest.raises(ConfigError, match="a job needs 2 GPUs, and this sweep has 1"):
        choose_places([GPU, Need("cuda", 2)], gpus=1)


@pytest.mark.parametrize(
    ("outer", "found"),
    [
        ("2,5", ["2", "5"]),
        ("GPU-8932f937, MIG-1", ["GPU-8932f937", "MIG-1"]),
        ("1,-1,2", ["1"]),
        ("", []),
    ],
)
def test_the_outer_variable_is_respected(machine, monkeypatch, outer, found):
    machine(gpus=8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", outer)
    assert visible_gpus() == found


def test_side_by_side_has_to_pay(machine):
    many, few = Need(images=100_000), Need(images=88)
    two = choose_places([many] * 2)
    assert pays(two, [many] * 2)
    assert not pays(two, [few] * 2)
    assert not pays(two, [Need(timed=True)] * 2)  # fewer cores would see fewer images
    machine(cores=1)
    assert not pays(choose_places([many] * 2), [many] * 2)
    machine(gpus=1)
    assert not pays(choose_places([GPU] * 2), [GPU] * 2)
    machine(gpus=2)
    timed = [Need("cuda", timed=True)] * 2
    assert pays(choose_places(timed), timed)


# ---------------------------------------------------------------------- handing out


def gpus_of(place) -> str | None:
    return None if place is None else place.variables.get("CUDA_VISIBLE_DEVICES")


def test_gpus_are_handed_out_and_come_back():
    handed = Places(3, ["4", "5", "7"], variables={"A": "b"})
    first, both = handed.take(1), handed.take(2)
    assert (gpus_of(first), gpus_of(both), first.variables["A"]) == ("4", "5,7", "b")
    assert handed.take(1) is None
    handed.give_back(both)
    assert gpus_of(handed.take(1)) == "5"
    assert handed.take(2) is None  # one is free
    assert gpus_of(handed.take(1)) == "7"
    handed.give_back(first)
    assert gpus_of(handed.take(1)) == "4"


def test_only_so_many_jobs_run_at_once():
    handed = Places(1, ["0", "1"])
    first = handed.take(1)
    assert handed.take(1) is None
    handed.give_back(first)
    assert handed.take(1) is not None


def test_more_jobs_than_gpus_share_them_evenly_if_asked_for(machine):
    machine(gpus=2)
    chosen = choose_places([GPU] * 8, jobs=4)
    assert [gpus_of(chosen.take(1)) for _ in range(5)] == ["0", "1", "0", "1", None]


def test_without_gpus_none_is_visible_and_nobody_waits_for_one(machine):
    chosen = choose_places([CPU] * 4, jobs=2)
    assert [gpus_of(chosen.take(1)), gpus_of(chosen.take(0))] == ["", ""]
    unassigned = Places(2, None)
    assert [gpus_of(unassigned.take(1)), gpus_of(unassigned.take(2))] == [None, None]
