"""Trainings as users start them, each in a separate process that can be killed.

The processes are forked from one that has imported everything and computed nothing, so that a
training costs only its steps.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from pathlib import Path

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
SCRIPT = [sys.executable, "-m", "tests.support.trainings"]
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
    (folder / "jobs.json").write_text(json.dumps(jobs))
    # Write to a file: workers of a killed training would keep a pipe open.
    with open(folder / "output.txt", "wb") as output:
        subprocess.run(
            [*SCRIPT, str(folder)],
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=900,
            check=False,
        )
    codes = folder.glob("*/codes.json")
    return {path.parent.name: json.loads(path.read_text()) for path in codes}


def run_of(folder: Path, name: str) -> Path:
    """The run folder of a job."""
    return (folder / name / "train" / "latest").resolve()


def _train(overrides: list[str]) -> None:
    signal.alarm(PATIENCE)
    from ganforge import cli
    from ganforge.commands.train import train
    from ganforge.config.compose import compose_config

    if "-m" in overrides:
        code = cli.run(["train", *overrides])
        sys.stdout.flush()
        os._exit(code)
    train(compose_config(overrides))


def _job(folder: Path, phases: list[list[str]]) -> None:
    signal.alarm(0)  # the trainings have their own alarms
    codes = []
    for phase in phases:
        overrides = [*phase, f"log_dir={folder}"]
        codes.append(wait(fork(lambda overrides=overrides: _train(overrides))))
    folder.mkdir(exist_ok=True)
    (folder / "codes.json").write_text(json.dumps(codes))


def import_everything() -> None:
    """Imports everything that trainings need, once for all of them."""
    import ganforge

    modules = [module.name for module in pkgutil.walk_packages(ganforge.__path__, "ganforge.")]
    for name in ["lightning.pytorch", "sklearn.datasets", *modules]:
        if not name.endswith("__main__") and not name.startswith("ganforge.loggers."):
            importlib.import_module(name)
    gc.freeze()  # forked children then share the memory of what was imported


def main(folder: Path) -> None:
    """Runs the jobs of ``folder``."""
    import_everything()
    from ganforge.config.compose import compose_config

    compose_config(SMALL)  # fills the caches of the parsers
    waiting = list(json.loads((folder / "jobs.json").read_text()).items())
    running: set[int] = set()
    while waiting or running:
        while waiting and len(running) < 2:
            name, phases = waiting.pop(0)
            running.add(fork(lambda name=name, phases=phases: _job(folder / name, phases)))
        running.discard(os.wait()[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
