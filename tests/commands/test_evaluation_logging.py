"""Results of `ganforge evaluate` join the run's own entry in Weights & Biases."""

import io
import logging
import sys

import pytest
import wandb
from omegaconf import OmegaConf

from ganforge.commands.evaluation_logging import log_to_wandb
from ganforge.loggers.wandb import service
from ganforge.loggers.wandb.run import WandbRun
from ganforge.metrics.evaluate import Result
from ganforge.runs.folder import RunFolder
from tests.loggers.wandb.file import history, of_type

INTERVAL = {"low": 9.0, "high": 11.0, "bootstrap": 20}
RESULTS = {"fid": Result(10.0, None, "inception", 50, 40, "train", "none", **INTERVAL)}
NODE = {"_target_": "ganforge.loggers.WandbLogger", "mode": "offline"}


@pytest.fixture(autouse=True)
def _no_account(tmp_path, monkeypatch):
    service.teardown()  # first: the address of an ended process would be restored afterwards
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    yield
    service.teardown()


def run_folder(path, **logger):
    parts = {"model": {}, "data": {}}
    OmegaConf.save({"seed": 0, "logger": logger, **parts}, path / "config.yaml")
    (path / "wandb").mkdir()
    (path / "wandb" / "run_id").write_text("abcd1234")
    return RunFolder(path)


def test_results_are_recorded_under_the_id_of_the_run(tmp_path):
    folder = run_folder(tmp_path, wandb=NODE | {"folder": "where it was before"})
    log_to_wandb(folder, RESULTS, step=4, images=256)
    assert wandb.run is None
    service.teardown()
    (run,) = (tmp_path / "wandb").glob("offline-run-*-abcd1234")
    (row,) = history(run)
    names = {"evaluate/fid": 10.0, "evaluate/fid_low": 9.0, "evaluate/fid_high": 11.0}
    assert row == names | {"step": 4, "images_seen": 256}
    assert of_type(run, "run")[0].run_id == "abcd1234"


def test_runs_without_it_are_left_alone(tmp_path):
    folder = run_folder(tmp_path, csv={"_target_": "ganforge.loggers.MetricsCSV"})
    log_to_wandb(folder, RESULTS, 4, 256)
    assert [path.name for path in (tmp_path / "wandb").iterdir()] == ["run_id"]


def test_a_failure_is_one_line(tmp_path, monkeypatch, caplog):
    def refuse(start, arguments):
        raise OSError("no room\nat all")

    monkeypatch.setattr(WandbRun, "start", refuse)
    folder = run_folder(tmp_path, wandb=NODE | {"folder": ""})
    with caplog.at_level(logging.WARNING):
        log_to_wandb(folder, RESULTS, 4, 256)
    own = [record.getMessage() for record in caplog.records if record.name.startswith("ganforge")]
    assert own == ["W&B DID NOT TAKE THESE RESULTS: no room"]
