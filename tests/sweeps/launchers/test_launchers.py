from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganforge.commands.train import train
from ganforge.compute.rank_zero import free_port
from ganforge.config.compose import compose_config
from tests.support import games
from tests.support.trainings import ROOT, SMALL, environment, run_of

# No statistics of batches: what a process computes of its share is then what one alone computes.
PLAIN = [
    "model=cgan",
    "condition=concatenation",
    "network.discriminator.norm=none",
    "network.generator.norm=none",
    "metrics=[]",
]
SPREAD = [*(o for o in SMALL if o != "trainer=cpu"), *PLAIN, "trainer.accelerator=cpu"]
ALONE = [*SMALL, *PLAIN]
SIGNALLED = [
    f"+callbacks.preempted.{key}={value}"
    for key, value in {"_target_": "tests.support.preempt.SignalAt", "step": 5, "seed": 1}.items()
]


class Started:
    """A process, its output in a file."""

    def __init__(self, arguments: list[str], log: Path, **variables: str) -> None:
        self.log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment() | variables,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self) -> int:
        return self.process.wait(timeout=900)

    @property
    def text(self) -> str:
        return self.log.read_text()


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def assert_same_end(run: Path, other: Path) -> None:
    """Up to rounding: a mean of two halves is not summed as one of the whole."""
    ours, theirs = weights_of(run), weights_of(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert (ours[name] - theirs[name]).abs().mean() < 1e-4, name


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A run of one process with the whole batch."""
    folder = tmp_path_factory.mktemp("alone")
    train(compose_config([*ALONE, "seed=1", f"log_dir={folder / 'run'}"]))
    return run_of(folder, "run")


# ---------------------------------------------------------------------- several machines


class Agent(Started):
    """torchrun on one node; the output is its worker's.

    The agents' own output is kept apart: they leave in any order, and PyTorch warns when the one
    with the store leaves first.
    """

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self.workers = folder
        folder.mkdir()
        redirected = ["-m", "torch.distributed.run", "--redirects=3", f"--log-dir={folder}"]
        super().__init__([*redirected, *arguments], folder.with_suffix(".agent"))

    @property
    def text(self) -> str:
        return "".join(log.read_text() for log in sorted(self.workers.rglob("std*.log")))


def agents(typed: list[str], folder: Path) -> list[Agent]:
    """Starts torchrun on two "nodes", one process on each, and waits."""
    command = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1"]
    command += [f"--master-port={free_port()}"]
    started = [
        Agent([*command, f"--node-rank={node}", "train.py", *typed], folder / f"node{node}")
        for node in range(2)
    ]
    for one in started:
        one.end()
    return started


@pytest.fixture(scope="module")
def spread(tmp_path_factory) -> tuple[Path, list[Agent]]:
    folder = tmp_path_factory.mktemp("spread")
    return folder, agents([*SPREAD, "seed=1", f"log_dir={folder / 'run'}"], folder)


@pytest.mark.slow
def test_two_nodes_under_torchrun_train_as_one_process(spread, alone):
    folder, nodes = spread
    assert [node.process.returncode for node in nodes] == [0, 0], nodes[0].text + nodes[1].text
    run = run_of(folder, "run")
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["status"], summary["step"], summary["images_seen"]) == ("completed", 11, 88)
    assert summary["device"].startswith("2 nodes x 1 x cpu")
    assert_same_end(run, alone)


@pytest.mark.slow
def test_there_is_one_run_folder_and_one_voice(spread):
    folder, nodes = spread
    assert len(list((folder / "run" / "train").glob("20*/*"))) == 1
    assert nodes[0].text.count("hardware:") == 1
    assert len(list(nodes[1].workers.rglob("std*.log"))) == 2
    assert nodes[1].text == ""


def srun(task: int, nodes: int, port: int) -> dict[str, str]:
    """What SLURM tells a task, of which each node has one."""
    return {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": str(nodes),
        "SLURM_STEP_NUM_NODES": str(nodes),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(nodes),
        "SLURM_NODEID": str(task),
        "SLURM_PROCID": str(task),
        "SLURM_LOCALID": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def tasks(typed: list[str], folder: Path) -> list[Started]:
    port = free_port()
    started = [
        Started(["train.py", *typed], folder / f"task{task}", **srun(task, 2, port))
        for task in range(2)
    ]
    for one in started:
        one.end()
    return started


@pytest.mark.slow
def test_one_task_per_node_starts_the_processes_of_the_node(tmp_path, alone):
    typed = [*SPREAD, "seed=1", "trainer.devices=2", "trainer.num_nodes=2"]
    ended = tasks([*typed, f"log_dir={tmp_path / 'run'}"], tmp_path)
    assert [task.process.returncode for task in ended] == [0, 0], ended[0].text + ended[1].text
    run = run_of(tmp_path, "run")
    assert json.loads((run / "summary.json").read_text())["device"].startswith("2 nodes x 2 x cpu")
    assert_same_end(run, alone)
    assert ended[1].text == ""


@pytest.mark.slow
def test_an_error_is_reported_once_and_ends_all_tasks(tmp_path):
    ended = tasks([*SPREAD, "data.batch_size=7", f"log_dir={tmp_path / 'run'}"], tmp_path)
    assert [task.process.returncode for task in ended] == [2, 2]
    assert "multiple of 2" in ended[0].text
    assert ended[1].text == ""
    assert not (tmp_path / "run").exists()


def test_a_sweep_under_torchrun_is_refused(type_in, tmp_path, monkeypatch):
    told = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}
    for name, value in (told | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}).items():
        monkeypatch.setenv(name, value)
    for typed in (["train", "-m", "seed=1,2"], ["evaluate", "run=latest"]):
        ended = type_in(*typed)
        assert ended.code == 2
        assert "cannot run under torchrun" in ended.err
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert type_in(*typed).err == ""  # the first process has told it
        for name, value in told.items():
            monkeypatch.setenv(name, value)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- the jobs of a sweep


@pytest.fixture(scope="module")
def beside(tmp_path_factory) -> tuple[Path, Started]:
    """A sweep of two jobs side by side, one of which is preempted at step 5."""
    folder = tmp_path_factory.mktemp("beside")
    typed = ["hydra/launcher=local_processes", "hydra.launcher.parallel=2", "seed=1,2"]
    typed += [*ALONE, *SIGNALLED, "+callbacks.preempted.name=SIGUSR1", f"log_dir={folder}"]
    started = Started(["train.py", "-m", *typed], folder / "log")
    started.end()
    return next((folder / "multirun").glob("*/*")), started


@pytest.mark.slow
def test_local_processes_run_the_jobs_of_a_sweep(beside):
    sweep, started = beside
    assert started.process.returncode == 0, started.text
    record = json.loads((sweep / "sweep.json").read_text())
    assert [job["status"] for job in record["jobs"]] == ["completed", "completed"]
    for name in ("0-s1", "1-s2"):
        summary = json.loads((sweep / name / "summary.json").read_text())
        assert (summary["status"], summary["step"]) == ("completed", 11)


@pytest.mark.slow
def test_a_preempted_job_is_started_again_and_resumes_bit_by_bit(beside, alone):
    sweep, _ = beside
    assert (sweep / "0-s1" / "signalled").exists()
    assert not (sweep / "1-s2" / "signalled").exists()
    outputs = [path.read_text() for path in (sweep / ".output").glob("*.log")]
    assert sum("resumed:" in text for text in outputs) == 1
    games.assert_equal(weights_of(sweep / "0-s1"), weights_of(alone))


SBATCH = """#!{python}
import os, subprocess, sys
script, again = (os.environ["FAKE_SLURM"] + name for name in ("/script", "/requeued"))
open(script, "w").write(open(sys.argv[1]).read())  # submitit moves the file
loop = f"bash {{script}}; [ -e {{again}} ] && rm {{again}} && bash {{script}}"
told = os.environ | {{"SLURM_JOB_ID": "42", "SLURM_STEP_NUM_TASKS": "1"}}
output = open(os.environ["FAKE_SLURM"] + "/output", "w")  # not the pipes that submitit reads
streams = {{"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}}
subprocess.Popen(["bash", "-c", loop], env=told, start_new_session=True, **streams)
print("Submitted batch job 42")
"""
SRUN = """#!{python}
import os, sys
rest = sys.argv[1:]
while rest[0].startswith("--"):
    if rest[0] in ("--output", "--error"):
        path = rest.pop(1).replace("%j", "42").replace("%t", "0")
        to = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(to, 1 if rest[0] == "--output" else 2)
    del rest[0]
os.execvp(rest[0], rest)
"""
SACCT = "#!/bin/sh\necho 'JobID|State|NodeList'\necho '42|RUNNING|localhost'\n"
SCONTROL = '#!/bin/sh\n[ "$1 $2" = "requeue 42" ] && touch "$FAKE_SLURM/requeued"\n'


@pytest.mark.slow
def test_a_job_that_slurm_preempts_is_requeued_and_resumes_bit_by_bit(tmp_path, alone):
    """SLURM's commands are played by scripts; the job, its signal and its requeueing are real."""
    commands = {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT, "scontrol": SCONTROL}
    for name, text in commands.items():
        path = tmp_path / name
        path.write_text(text.format(python=sys.executable) if "{python}" in text else text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    options = {"partition": "gpu", "nodes": 1, "gpus_per_node": 0, "mem_gb": 4, "timeout_min": 90}
    typed = ["hydra/launcher=slurm", *(f"hydra.launcher.{k}={v}" for k, v in options.items())]
    typed += [*ALONE, *SIGNALLED, "+callbacks.preempted.name=SIGUSR1", "seed=1"]
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FAKE_SLURM": str(tmp_path)}
    started = Started(
        ["train.py", "-m", *typed, f"log_dir={tmp_path / 'run'}"], tmp_path / "log", **variables
    )
    assert started.end() == 0, started.text
    script = (tmp_path / "script").read_text()
    for line in ("partition=gpu", "time=90", "mem=4GB", "signal=USR1@180", "requeue", "nodes=1"):
        assert f"#SBATCH --{line}" in script
    assert "--kill-on-bad-exit=1" in script
    run = next((tmp_path / "run" / "multirun").glob("*/*/0"))
    assert (run / "signalled").exists()
    games.assert_equal(weights_of(run), weights_of(alone))


# ---------------------------------------------------------------------- what is refused


LOCAL = "hydra/launcher=local_processes"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["-m", "hydra/launcher=slurm"], "sbatch and srun are not available"),
        ([LOCAL], "add -m"),
        (["-m", LOCAL, "hydra.launcher.parallel=0"], "from 1 or auto, got 0"),
        (["-m", "hydra.launcher.jobs=0"], "hydra.launcher.jobs must be a whole number from 1"),
        (["-m", "hydra.launcher.gpus=many"], "hydra.launcher.gpus must be a whole number from 0"),
        (["-m", "seed=1,2", "hydra.launcher.gpus=3"], "this machine has 0 GPUs"),
        (
            ["-m", LOCAL, "hydra.launcher.signal_delay_s=99999999"],
            "less",
        ),
    ],
)
def test_a_launcher_that_cannot_work_is_refused(type_in, tmp_path, monkeypatch, typed, message):
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = type_in("train", *typed, "data=fake")
    assert (ended.code, message in ended.err) == (2, True), ended.err
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(type_in, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    ended = type_in("train", "-m", "hydra/launcher=slurm", "data=fake")
    assert ended.code == 2
    assert "pip install 'ganforge[slurm]'" in ended.err
    assert not list(tmp_path.iterdir())
