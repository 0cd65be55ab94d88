"""A server, a local process or a setting of Weights & Biases that fails never ends a run."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

import pytest
from PIL import Image
from tests.loggers.wandb.file import history
from tests.loggers.wandb.server import serving

from ganforge.config.wandb_names import is_id, name_faults, trimmed
from ganforge.errors import ConfigError, RunError
from ganforge.loggers.wandb import service as wandb_service
from ganforge.loggers.wandb.access import first_line, require_server
from ganforge.loggers.wandb.logger import WandbLogger, finish
from ganforge.processes import LateError, within

START = {"images_seen": 0}


@pytest.fixture(autouse=True)
def account(tmp_path, monkeypatch):
    """A key, an empty home, and a local process that ends with the test."""
    import wandb

    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    wandb.teardown()
    yield
    finish()
    wandb_service.teardown()


def warnings(caplog) -> list[str]:
    records = [r for r in caplog.records if r.name.startswith("ganforge")]
    return [r.getMessage() for r in records if r.levelno >= logging.WARNING]


def service() -> int:
    """The number of wandb's local process."""
    from wandb.sdk import wandb_setup

    return int(wandb_setup._singleton._connection._proc._process.pid)


def recorded_offline(folder) -> list[dict]:
    finish()
    wandb_service.teardown()  # it may still be writing
    (part,) = (folder / "wandb").glob("offline-run-*")
    return history(part)


# ---------------------------------------------------------------------- servers


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("401", "error 401"),
        ("no-http", "is not a web server"),
        pytest.param("403", "wandb login", marks=pytest.mark.slow),
        pytest.param("404", "check WANDB_BASE_URL", marks=pytest.mark.slow),
        pytest.param("html", "CANNOT GO ONLINE", marks=pytest.mark.slow),
        ("500", "answers with error 500"),
        pytest.param("silent", "does not answer", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_answers_wrongly_leaves_an_offline_run(
    tmp_path, monkeypatch, caplog, kind, said
):
    with serving(kind) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        logger = WandbLogger(str(tmp_path), timeout=3)
        logger.log_metrics({"a": 1.0}, step=1)
        (line,) = warnings(caplog)
        assert said in line
        assert "recorded offline" in line
        assert recorded_offline(tmp_path) == [{"a": 1.0, "step": 1, **START}]


@pytest.mark.slow
@pytest.mark.parametrize("then", ["html", "500", "silent"])
def test_a_server_that_fails_later_costs_a_bounded_time(tmp_path, monkeypatch, caplog, then):
    monkeypatch.setattr("ganforge.loggers.wandb.run.FINISH_SECONDS", 5.0)
    with serving("accepts") as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        logger = WandbLogger(str(tmp_path))
        assert not logger.experiment.offline, warnings(caplog)
        server.kind = then
        started = time.monotonic()
        for step in range(20):
            logger.log_metrics({"a": 1.0}, step=step)
        assert time.monotonic() - started < 5
        finish()
        wandb_service.teardown()
        assert time.monotonic() - started < 5 + wandb_service.CLOSE_SECONDS + 15


# ---------------------------------------------------------------------- the local process


@pytest.mark.parametrize(
    "end", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)]
)
def test_training_outlives_the_local_process(tmp_path, monkeypatch, caplog, end):
    monkeypatch.setattr(wandb_service, "CLOSE_SECONDS", 2.0)
    for module in ("run", "logger"):
        monkeypatch.setattr(f"ganforge.loggers.wandb.{module}.FINISH_SECONDS", 5.0)
    logger = WandbLogger(str(tmp_path), mode="offline")
    logger.log_metrics({"a": 1.0}, step=1)
    os.kill(service(), end)
    time.sleep(0.2)
    for step in range(5):
        logger.log_metrics({"a": 1.0}, step=step)
    logger.log_picture("samples", Image.new("L", (4, 4)), step=5)
    finish()
    wandb_service.teardown()
    assert "wandb.sdk.lib.asyncio_manager" not in {record.name for record in caplog.records}
    assert "WANDB_SERVICE" not in os.environ  # a later job would connect to the dead process
    if end == signal.SIGKILL:
        (line,) = warnings(caplog)
        assert "W&B ACCEPTS NO MORE POINTS" in line
        assert "metrics.csv has every point" in line


def test_a_local_process_that_does_not_start_is_said_once(tmp_path, monkeypatch, caplog):
    import wandb

    def fail(**arguments: object) -> None:
        raise wandb.errors.CommError("the service process did not start")

    monkeypatch.setattr(wandb, "init", fail)
    logger = WandbLogger(str(tmp_path), mode="offline")
    assert hasattr(logger, "experiment")  # what Lightning's hooks ask
    logger.log_hyperparams({"seed": 1})
    logger.log_metrics({"a": 1.0}, step=1)
    logger.log_picture("samples", Image.new("L", (4, 4)), step=1)
    logger.log_summary({"status": "completed"})
    logger.alert("title", "text", "INFO")
    (line,) = warnings(caplog)
    assert "CANNOT RECORD THIS RUN (CommError: the service process did not start)" in line
    with pytest.raises(RunError, match="on_unreachable"):
        _ = WandbLogger(str(tmp_path), mode="offline", on_unreachable="fail").experiment


def test_a_setup_that_never_returns_is_left_behind(tmp_path, monkeypatch, caplog):
    import wandb

    release = threading.Event()
    monkeypatch.setattr(wandb, "setup", lambda: release.wait(20))
    monkeypatch.setattr(wandb_service, "start_seconds", lambda: 0.05)
    monkeypatch.setattr(wandb_service, "UNSTICK_SECONDS", 0.05)
    started = time.monotonic()
    for job in "ab":
        logger = WandbLogger(str(tmp_path / job))
        logger.log_metrics({"a": 1.0}, step=1)
    finish()
    assert time.monotonic() - started < 2
    first, second = warnings(caplog)
    assert "wandb.setup took longer than 0.05 seconds" in first
    assert "stuck in an earlier call" in second
    release.set()
    wandb_service._stuck.join()


# ---------------------------------------------------------------------- settings and folders


@pytest.mark.parametrize(
    ("variable", "value"), [("WANDB_MODE", "never"), ("WANDB_BASE_URL", "not an address")]
)
def test_variables_that_wandb_refuses_are_named(tmp_path, monkeypatch, caplog, variable, value):
    monkeypatch.setenv(variable, value)
    logger = WandbLogger(str(tmp_path))
    logger.log_metrics({"a": 1.0}, step=1)
    (line,) = warnings(caplog)
    assert "CANNOT RECORD THIS RUN" in line
    assert variable.removeprefix("WANDB_").lower() in line
    with pytest.raises(RunError, match="cannot be used"):
        require_server(1)


def test_a_damaged_id_is_replaced(tmp_path, caplog):
    file = tmp_path / "wandb" / "run_id"
    file.parent.mkdir()
    file.write_bytes(b"\xff\x00")
    logger = WandbLogger(str(tmp_path), mode="offline")
    assert is_id(logger.experiment.id)
    assert file.read_text() == logger.experiment.id
    (line,) = warnings(caplog)
    assert str(file) in line
    assert not [text for text in ("a b", "x" * 200, "a/b", "", "a\n", "a:b") if is_id(text)]


def test_a_folder_that_cannot_be_created_does_not_end_the_run(tmp_path, caplog):
    (tmp_path / "wandb").write_text("a file")
    logger = WandbLogger(str(tmp_path), mode="offline")
    logger.log_metrics({"a": 1.0}, step=1)
    (line,) = warnings(caplog)
    assert "CANNOT RECORD THIS RUN (FileExistsError" in line


def test_a_value_that_cannot_be_encoded_is_skipped(tmp_path, caplog, monkeypatch):
    import wandb

    def refuse(*values: object, **named: object) -> None:
        raise ValueError("no such picture")

    logger = WandbLogger(str(tmp_path), mode="offline")
    monkeypatch.setattr(wandb, "Image", refuse)
    for step in (1, 2):
        logger.log_picture("samples", Image.new("L", (4, 4)), step=step)
    logger.log_metrics({"a": float("nan"), "b": float("inf")}, step=3)
    logger.log_metrics({"a": 2.0}, step=4)
    assert warnings(caplog) == ["W&B did not accept pictures: no such picture"]
    assert len(recorded_offline(tmp_path)) == 2


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"project": "a/b"}, "logger.wandb.project='a/b' contains /"),
        ({"project": "a?"}, "logger.wandb.project"),
        ({"project": ""}, "logger.wandb.project is empty"),
        ({"project": "p" * 129}, "129 characters"),
        ({"entity": "a/b"}, "logger.wandb.entity"),
        ({"group": "g" * 129}, "logger.wandb.group"),
        ({"job_type": "j" * 129}, "logger.wandb.job_type"),
        ({"tags": ["ok", "t" * 65]}, "65 characters"),
        ({"tags": [" "]}, "empty tag"),
    ],
)
def test_names_that_wandb_refuses_are_refused_at_the_start(tmp_path, settings, said):
    (fault,) = name_faults(settings)
    assert said in fault
    with pytest.raises(ConfigError):
        WandbLogger(str(tmp_path), **settings)


def test_names_that_wandb_accepts_pass():
    assert (
        name_faults({"project": "Größe 1.0", "entity": None, "group": "", "tags": ["t" * 64]}) == []
    )


def test_invalid_settings_are_rejected_before_anything_is_created(type_in, tmp_path):
    tag = "t" * 70
    typed = type_in("train", "data=fake", "logger.wandb.project=team/faces", f"tags=[{tag}]")
    assert typed.code == 2
    assert "logger.wandb.project='team/faces'" in typed.err
    assert "70 characters" in typed.err
    assert list(tmp_path.glob("logs/train/*")) == []


def test_a_long_name_is_trimmed(tmp_path):
    assert trimmed("n" * 128) == "n" * 128
    logger = WandbLogger(str(tmp_path), mode="offline", name="n" * 140)
    assert len(logger.experiment.name) == 128


# ---------------------------------------------------------------------- bounds


def test_a_call_returns_raises_or_is_late():
    assert within(5, lambda: 3, "three") == 3
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0, "x")
    with pytest.raises(RuntimeError, match="SystemExit: 4"):
        within(5, lambda: sys.exit(4), "x")
    with pytest.raises(LateError, match="waiting took longer"):
        within(0.01, lambda: time.sleep(0.2), "waiting")


def test_what_wandb_says_takes_one_line():
    assert first_line(RuntimeError("\n first\x1b[2J\nsecond")) == "first\\x1b[2J"
    assert len(first_line(RuntimeError("x" * 1000))) == 300
    assert first_line(KeyError()) == "KeyError"
