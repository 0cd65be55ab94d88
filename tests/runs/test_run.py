from __future__ import annotations

import pytest
import torch

import ganforge
from ganforge.config.compose import compose_config
from ganforge.errors import RunError
from tests.support.trainings import SMALL


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> ganforge.Run:
    folder = tmp_path_factory.mktemp("run")
    typed = [*SMALL, "metrics=[fid]", f"log_dir={folder}"]
    trained = ganforge.train(compose_config(typed))
    assert trained is not None
    return trained


def test_a_training_returns_its_run(run):
    assert (run.path / "summary.json").is_file()
    (name,) = run.scores
    assert name.startswith("fid")
    assert run.best == pytest.approx(run.scores[name]["value"])
    assert run.model.iteration == run.scores[name]["step"]
    assert not run.model.training


def test_a_run_is_found_again_and_loads_the_same_model(run):
    found = ganforge.Run.find("latest", run.path.parents[2])
    assert found.path == run.path
    assert found.scores == run.scores
    expected = run.model.sample(3)
    assert torch.equal(found.model.sample(3), expected)
    assert torch.equal(ganforge.load(run).sample(3), expected)
    assert torch.equal(ganforge.Run.find(run).model.sample(3), expected)


def test_a_checkpoint_is_the_one_that_is_loaded(run):
    best = ganforge.Run.find(run.path / "checkpoints" / "best.ckpt")
    assert best.path == run.path
    expected = ganforge.load(run, checkpoint="best")
    assert torch.equal(best.model.sample(3), expected.sample(3))


def test_a_dry_run_returns_none(tmp_path):
    typed = [*SMALL, "metrics=[]", "dry_run=true", f"log_dir={tmp_path}"]
    assert ganforge.train(compose_config(typed)) is None


def test_there_is_no_such_run(tmp_path):
    with pytest.raises(RunError, match="no such run folder or checkpoint"):
        ganforge.Run.find(tmp_path / "nothing")
