from __future__ import annotations

import json
import logging

import pytest
import torch

from ganforge.commands.fit import watch_over_cores
from ganforge.compute.crowding import Crowding
from ganforge.compute.hardware import TrainerSettings
from ganforge.compute.threads import Threads, choose_threads, using_threads
from ganforge.cores import CORES_VARIABLE, Cores
from ganforge.errors import ConfigError

REAL = torch.get_num_threads
EIGHT = Cores(8, "cores")


@pytest.fixture(autouse=True)
def torch_threads(monkeypatch):
    """What PyTorch would use: all 8 cores, or as set."""

    def present(count: int) -> None:
        monkeypatch.setattr(torch, "get_num_threads", lambda: count)

    present(8)
    return present


def choose(wanted="auto", others: float = 0.0, **variables: str) -> Threads:
    return choose_threads(wanted, cores=EIGHT, others=others, variables=variables)


@pytest.mark.parametrize(
    ("others", "count"), [(0.0, 8), (0.4, 8), (0.6, 7), (3.0, 5), (8.0, 1), (20.0, 1)]
)
def test_auto_takes_the_cores_that_are_free(others, count):
    assert choose(others=others).count == count


def test_the_reason_is_given():
    assert str(choose()) == "8 (cores)"
    assert str(choose(others=3.0)) == "5 (other processes use 3.0 of 8 cores)"
    assert str(choose(3)) == "3 (trainer.threads)"


def test_a_number_of_the_user_takes_precedence(torch_threads):
    assert choose(8, others=8.0, OMP_NUM_THREADS="2").count == 8
    assert str(choose(others=8.0, OMP_NUM_THREADS="4,2")) == "4 (OMP_NUM_THREADS)"
    torch_threads(2)  # torch.set_num_threads(2) of a Python session
    assert str(choose()) == "2 (torch.get_num_threads())"
    assert choose(OMP_NUM_THREADS="4").count == 2
    assert choose(None).count == 2


def test_processes_of_a_run_divide_the_cores():
    assert choose_threads("auto", 2, cores=EIGHT, others=0.0, variables={}).count == 4
    assert choose_threads("auto", 3, cores=EIGHT, others=0.0, variables={}).count == 2
    assert choose_threads("auto", 2, cores=EIGHT, others=4.0, variables={}).count == 2
    assert choose_threads("auto", 16, cores=EIGHT, others=0.0, variables={}).count == 1


def test_neighbours_of_a_container_do_not_take_its_quota():
    quota = Cores(4, "CPU quota", common=64)
    chosen = [
        str(choose_threads("auto", cores=quota, others=busy, variables={})) for busy in (10.0, 61.0)
    ]
    assert chosen == ["4 (CPU quota)", "3 (other processes use 61.0 of 64 cores)"]


def test_tasks_of_srun_keep_their_own_cores():
    own = Cores(8, "SLURM_CPUS_PER_TASK", common=64, each=True)
    chosen = choose_threads("auto", 8, cores=own, others=0.0, variables={})
    assert str(chosen) == "8 (SLURM_CPUS_PER_TASK)"


def test_a_job_takes_its_share_of_the_sweep_whatever_the_load():
    share = Cores(2, "share of the sweep")
    variables = {CORES_VARIABLE: "2", "OMP_NUM_THREADS": "2"}  # as set by the sweep
    chosen = choose_threads("auto", cores=share, others=6.0, variables=variables)
    assert str(chosen) == "2 (share of the sweep)"


def test_a_resumed_run_keeps_its_number_as_long_as_it_can():
    kept = choose_threads("auto", former=5, cores=EIGHT, others=7.0, variables={})
    assert (str(kept), kept.warning) == ("5 (as before)", None)
    fewer = choose_threads("auto", former=16, cores=EIGHT, others=0.0, variables={})
    assert fewer.count == 8
    assert "trained with 16 threads before, and resumes with 8 (cores)" in fewer.warning
    typed = choose_threads(3, former=5, cores=EIGHT, variables={})
    assert "with 3 (trainer.threads)" in typed.warning
    given = choose_threads("auto", former=5, variables={"OMP_NUM_THREADS": "1"})
    assert "with 1 (OMP_NUM_THREADS)" in given.warning
    assert choose_threads(5, former=5, variables={}).warning is None


def test_the_number_is_restored(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", REAL)
    before = torch.get_num_threads()
    with using_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("wrong", [0, -1, True, "many", 1.5, 99_999])
def test_other_values_are_refused(wrong):
    with pytest.raises(
        ConfigError,
        match=r"trainer\.threads must be a number from 1 to \d+, the CPUs.* auto or null",
    ):
        TrainerSettings(threads=wrong)


# ---------------------------------------------------------------------- during a run


def test_a_crowded_machine_is_reported_once_with_the_remedy(caplog):
    watch = Crowding(threads=8)
    with caplog.at_level(logging.WARNING, "ganforge"):
        for others in (0.2, 5.0, 0.2, 5.0):  # two crowded windows, but not in succession
            watch.observe(others, EIGHT, "RUN")
        assert caplog.text == ""
        for _ in range(3):
            if not watch._done:
                watch.observe(5.0, EIGHT, "RUN")
    assert caplog.text.count("the machine is crowded") == 1
    assert "other processes use 5.0 of 8 cores, and this run has 8 threads" in caplog.text
    assert "resume=RUN trainer.threads=3" in caplog.text


def test_a_container_within_its_quota_is_not_crowded(caplog):
    watch = Crowding(threads=4)
    with caplog.at_level(logging.WARNING, "ganforge"):
        for _ in range(3):
            watch.observe(10.0, Cores(4, "CPU quota", common=64), "RUN")
    assert caplog.text == ""


def test_a_job_beside_others_of_its_sweep_is_not_watched(monkeypatch):
    monkeypatch.delenv(CORES_VARIABLE, raising=False)
    one = TrainerSettings(accelerator="cpu").hardware()
    assert [type(watch) for watch in watch_over_cores(one)] == [Crowding]
    monkeypatch.setenv(CORES_VARIABLE, "4")
    assert watch_over_cores(one) == []


def test_one_thread_waits_for_no_other():
    assert Crowding(threads=1)._done
    assert Crowding(threads=2, processes=2)._done
    assert not Crowding(threads=4, processes=2)._done


# ---------------------------------------------------------------------- whole runs

FAKE = ["data=fake", "data.size=8", "data.batch_size=4", "data.image_size=8", "model=gan"]
FAKE += ["trainer=cpu", "logger=csv"]
FAKE += ["metrics=[]", "~callbacks.samples", "trainer.max_steps=1"]


def test_a_run_says_and_records_its_threads_and_resumes_with_them(type_in, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", REAL)
    present = torch.get_num_threads()
    ended = type_in("train", *FAKE, "trainer.threads=2", "run_dir=run")
    assert ended.code == 0, ended.err
    assert "threads:     2 (trainer.threads)" in ended.out
    again = type_in("train", "resume=run", "trainer.max_steps=2", "trainer.threads=1")
    assert again.code == 0, again.err
    assert "threads:     1 (trainer.threads)" in again.out
    assert "trained with 2 threads before, and resumes with 1" in again.out + again.err
    sessions = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert [session["environment"]["threads"] for session in sessions] == [2, 1]
    assert torch.get_num_threads() == present
