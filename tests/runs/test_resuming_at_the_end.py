"""A run that was killed after its last checkpoint but before its end can still come to its end."""

from __future__ import annotations

import json

import pytest

from ganforge.commands.train import train
from ganforge.errors import RunError
from ganforge.runs.folder import RunFolder
from tests.support.configs import tiny


@pytest.fixture
def folder(tmp_path):
    cfg = tiny("trainer.max_steps=4", "callbacks.checkpoints.every_n_steps=2")
    cfg.log_dir = str(tmp_path / "logs")
    train(cfg)
    return RunFolder.find("latest", tmp_path / "logs")


def resume(folder):
    cfg = tiny(f"resume={folder.path}")
    cfg.log_dir = str(folder.path.parents[2])
    train(cfg)


def killed(folder):
    """Makes the summary what it was when the last checkpoint was written."""
    summary = folder.read_summary() | {"status": "running"}
    folder.summary.write_text(json.dumps(summary))


def test_it_repeats_its_last_stretch(folder):
    killed(folder)
    resume(folder)
    assert folder.read_summary()["status"] == "completed"
    assert folder.read_summary()["step"] == 4


def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(folder):
    killed(folder)
    (folder.checkpoints / "last.ckpt").write_bytes(b"damaged")
    resume(folder)
    assert folder.read_summary()["step"] == 4
    folder.checkpoint("last")


def test_a_completed_run_has_nothing_left_to_do(folder):
    with pytest.raises(RunError, match="at step 4 already"):
        resume(folder)
