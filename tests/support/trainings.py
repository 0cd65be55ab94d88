"""Trainings in separate processes that can be killed.

They are forked from the test process after it has imported everything, so that a training costs
only its steps. Forks cannot use a GPU of the test process: tests/conftest.py hides it.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import pkgutil
import signal
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

import ganforge
from ganforge import cli
from ganforge.commands.train import train
from ganforge.config.compose import compose_config
from tests.support.compositions import restore_hydra
from tests.support.forking import fork, wait

ROOT = Path(__file__).parents[2]
SMALL = [
    "data=digits",
    "data.image_size=16",
    "data.batch_size=8",
    "data.max_images=50",
    "data.mirror=true",
    "network.generator.width=4",
    "network.discriminator.width=4",
    "network.generator.latent_dim=4",
    "features._target_=tests.support.small_features.SmallFactory",
    "trainer=cpu",
    "trainer.precision=32-true",
    "trainer.max_steps=11",
    "trainer.log_every_n_steps=2",
    "logger=csv",
    "callbacks.evaluation.every_n_steps=4",
    "callbacks.evaluation.n=32",
    "callbacks.checkpoints.every_n_steps=3",
    "callbacks.samples.every_n_steps=5",
    "callbacks.samples.count=4",
    "~callbacks.progress",
]
PATIENCE = 200  # seconds; a training takes one on an idle machine
Jobs = dict[str, list[list[str]]]


def environment() -> dict[str, str]:
    """Limits each process to one thread, because two run in parallel."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def run_jobs(jobs: Jobs, folder: Path) -> dict[str, list[int]]:
    """Runs jobs, two in parallel.

    Args:
        jobs: overrides of consecutive trainings, by job name; with -m, of sweeps.
        folder: output folder, with one subfolder per job.

    Returns:
        Exit code of each training, or minus the signal that killed it.
    """
    output = folder / "output.txt"
    output.touch()
    assert wait(fork(lambda: _run_all(jobs, output))) == 0, output.read_text()[-5000:]
    codes = folder.glob("*/codes.json")
    return {path.parent.name: json.loads(path.read_text()) for path in codes}


def run_of(folder: Path, name: str) -> Path:
    """The run folder of a job."""
    return (folder / name / "train" / "latest").resolve()


def redirect_output(path: Path) -> None:
    """Redirects the standard output and standard error of this process into a file."""
    # Not into a pipe: workers of a killed training would keep it open.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(descriptor, number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    logging.getLogger("ganforge").handlers.clear()  # they write to the stream of an earlier test


def import_everything() -> None:
    """Imports everything that trainings need, for all trainings of one call."""
    modules = [module.name for module in pkgutil.walk_packages(ganforge.__path__, "ganforge.")]
    for name in ["lightning.pytorch", *modules]:
        if not name.endswith("__main__") and not name.startswith("ganforge.loggers."):
            importlib.import_module(name)
    gc.freeze()  # forked children then share the memory of what was imported


def _run_all(jobs: Jobs, output: Path) -> None:
    signal.alarm(900)
    redirect_output(output)
    restore_hydra(pytest.MonkeyPatch())
    os.environ |= environment()
    os.chdir(ROOT)
    import_everything()
    waiting, running = list(jobs.items()), set()
    while waiting or running:
        while waiting and len(running) < 2:
            name, phases = waiting.pop(0)
            running.add(fork(lambda name=name, phases=phases: _job(output.parent / name, phases)))
        running.discard(os.wait()[0])


def _job(folder: Path, phases: list[list[str]]) -> None:
    signal.alarm(0)  # the trainings have their own alarms
    codes = []
    for phase in phases:
        overrides = [*phase, f"log_dir={folder}"]
        codes.append(wait(fork(lambda overrides=overrides: _train(overrides))))
    folder.mkdir(exist_ok=True)
    (folder / "codes.json").write_text(json.dumps(codes))


def _train(overrides: list[str]) -> None:
    signal.alarm(PATIENCE)
    if "-m" in overrides:
        GlobalHydra.instance().clear()
        sys.argv = ["ganforge"]
        os._exit(cli.run(["train", *overrides]))
    train(compose_config(overrides))
