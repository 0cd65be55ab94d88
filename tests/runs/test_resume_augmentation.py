"""A run with state of its own in its augmentation or its penalties resumes bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch import Callback

from ganforge.commands.train import train
from ganforge.config.compose import compose_config
from tests.support.same_runs import assert_same, checkpoint, metrics
from tests.support.trainings import SMALL, run_of

# No scores, no grids: a run takes a fraction of a second.
PLAIN = [o for o in SMALL if "evaluation" not in o and "samples" not in o]
PLAIN += ["metrics=[]", "~callbacks.samples", "trainer.log_every_n_steps=1", "model=dcgan"]
TERMS = "regularizer=[balanced_consistency,latent_diversity,lecam]"
STATEFUL = ["augment=ada", "augment.p=0.4", "augment.speed=200", "augment.every=2", TERMS]


class Crash(Callback):
    """Breaks a run off after a step, once: a run that is resumed begins behind it."""

    def __init__(self, step: int) -> None:
        self.step = step

    @property
    def state_key(self) -> str:
        return "Killed"  # as those that are left out where checkpoints are compared

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        marker = Path(trainer.default_root_dir) / "crashed"
        if pl_module.iteration == self.step and not marker.exists():
            marker.touch()
            raise RuntimeError("crashed")


def go(*overrides: str) -> None:
    train(compose_config(list(overrides)))


def test_a_broken_off_and_resumed_run_ends_bit_equal(tmp_path):
    overrides = [*PLAIN, *STATEFUL, "trainer.max_steps=8"]
    go(*overrides, f"log_dir={tmp_path / 'whole'}")
    crash = "tests.runs.test_resume_augmentation.Crash"
    deadly = [f"+callbacks.crash._target_={crash}", "+callbacks.crash.step=5"]
    log_dir = f"log_dir={tmp_path / 'broken'}"
    with pytest.raises(RuntimeError, match="crashed"):
        go(*overrides, *deadly, log_dir)
    go("resume=latest", log_dir)
    whole, broken = run_of(tmp_path, "whole"), run_of(tmp_path, "broken")
    assert_same(checkpoint(broken, "last"), checkpoint(whole, "last"))
    assert metrics(broken) == metrics(whole)
    assert len({row["augment/p"] for row in metrics(whole)}) > 2  # there was something to keep
