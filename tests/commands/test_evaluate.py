from __future__ import annotations

import io
import logging
import sys

import pytest
import wandb
from omegaconf import OmegaConf
from rich.console import Console

from ganforge.commands.evaluate import log_to_wandb, print_results
from ganforge.loggers.wandb import service
from ganforge.loggers.wandb.run import WandbRun
from ganforge.metrics.evaluate import Result
from ganforge.runs.folder import RunFolder
from tests.loggers.wandb.file import history, of_type

# ---------------------------------------------------------------------- the table

INCEPTION = {"features": "inception-v3-compat", "resize": "bilinear-antialias-299"}
PIXELS = {"features": "pixels", "resize": "none"}


def result(value, std=None, n_real=10_000, bootstrap=False, protocol=INCEPTION):
    more = {"low": 0.9 * value, "high": 1.1 * value, "bootstrap": 100} if bootstrap else {}
    return Result(value, std, n_real=n_real, n_fake=10_000, split="train", **protocol, **more)


def printed(bootstrap, width=80):
    results = {
        "fid": result(12.34567, bootstrap=bootstrap),
        "kid": result(0.0123456, 0.000812345, bootstrap=bootstrap),
        "is": result(7.12, 0.1, 0, bootstrap),
        "classification_accuracy": result(0.75, None, 0, bootstrap, PIXELS),
    }
    out = io.StringIO()
    print_results(results, "step 1000, weights ema", Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("bootstrap", [False, True])
def test_nothing_is_folded_at_80_columns(bootstrap):
    text = printed(bootstrap)
    assert max(len(line) for line in text.splitlines()) <= 80
    rows = [line.strip("│ ").split() for line in text.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == ["fid", "kid", "is", "classification_accuracy"]
    assert [row[-1] for row in rows] == ["1", "1", "2", "3"]
    for value in ("12.35", "0.01235 +- 0.000812", "7.12 +- 0.1", "0.75"):
        assert value in text
    assert ("11.11 ... 13.58" in text) == ("95 % interval" in text) == bootstrap


def test_each_protocol_is_printed_once():
    text = " ".join(printed(False).split())
    shared = "n_fake=10000, split=train, resize=bilinear-antialias-299"
    assert text.count(f"protocol 1: features=inception-v3-compat, n_real=10000, {shared}") == 1
    assert text.count(f"protocol 2: features=inception-v3-compat, n_real=0, {shared}") == 1
    assert "protocol 3: features=pixels, n_real=0, n_fake=10000, split=train, resize=none" in text
    assert "protocol 4" not in text


# ---------------------------------------------------------------------- Weights & Biases

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


def test_runs_without_wandb_are_skipped(tmp_path):
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
    assert own == ["W&B DID NOT ACCEPT THESE RESULTS: no room"]
