from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.loggers.wandb.file import history, of_type

from ganforge.callbacks.pictures.grid import picture
from ganforge.errors import ConfigError, RunError
from ganforge.loggers.facts import PictureLogger
from ganforge.loggers.wandb import access as wandb_access
from ganforge.loggers.wandb import service
from ganforge.loggers.wandb.logger import WandbLogger, finish

NOWHERE = "http://127.0.0.1:9"
START = {"step": 1, "images_seen": 0}  # the x-axis is always there


@pytest.fixture(autouse=True)
def no_account(tmp_path, monkeypatch):
    """A machine without an account, on which any question on the terminal is an error."""
    import wandb

    service.teardown()  # first: the address of an ended process would be restored afterwards
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    wandb.teardown()
    yield
    finish()
    wandb.teardown()


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("offline-run-*"))


def close() -> None:
    """Ends the run and wandb's service, which may write after finish() returned."""
    import wandb

    finish()
    wandb.teardown()


def own_lines(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("ganforge")]


def test_without_credentials_it_is_offline_and_one_line_says_how_to_send_it(
    tmp_path, caplog, capfd
):
    with caplog.at_level(logging.INFO):
        logger = WandbLogger(str(tmp_path))
        logger.log_metrics({"a": 1.0, "images_seen": 64.0}, step=1)
        close()
    assert len(runs(tmp_path)) == 1
    (line,) = own_lines(caplog)
    assert (
        line
        == f"W&B is offline (no credentials). To send the run later: ganforge sync runs={tmp_path}"
    )
    assert capfd.readouterr() == ("", "")


def test_points_pictures_and_configuration_are_recorded(tmp_path):
    logger = WandbLogger(str(tmp_path), mode="offline", group="seeds", tags=["x"], name="n")
    logger.log_hyperparams({"seed": 3, "model": {"critic_steps": 5}})
    logger.log_metrics({"generator/loss": 0.5, "images_seen": 64.0}, step=1)
    logger.log_metrics({"fid": 10.0, "images_seen": 64.0}, step=1)
    images = torch.linspace(-1, 1, 4 * 3 * 64 * 64).view(4, 3, 64, 64)
    grid = picture(images)
    logger.log_picture("samples", grid, step=1, caption="a caption")
    assert isinstance(logger, PictureLogger)
    close()

    (run,) = runs(tmp_path)
    rows = history(run)
    assert rows[0] == {"generator/loss": 0.5, "images_seen": 64.0, "step": 1}
    assert rows[1] == {"fid": 10.0, "images_seen": 64.0, "step": 1}
    (header,) = of_type(run, "run")
    assert (header.run_group, list(header.tags), header.display_name) == ("seeds", ["x"], "n")
    keys = {u.key: u.value_json for c in of_type(run, "config") for u in c.update}
    assert keys["seed"] == "3"
    (file,) = (run / "files" / "media" / "images").glob("samples*.png")
    with Image.open(file) as decoded:
        assert decoded.mode == "RGB"
        assert np.asarray(decoded).max() == 255
        np.testing.assert_array_equal(np.asarray(decoded), np.asarray(grid))


def test_every_axis_is_bound(tmp_path):
    logger = WandbLogger(str(tmp_path), mode="offline")
    logger.log_metrics({"images_seen": 64.0, "fid_classifier": 3.0}, step=1)
    close()
    defined = {m.name or m.glob_name: m for m in of_type(runs(tmp_path)[0], "metric")}
    assert list(defined) == ["step", "images_seen", "*"]
    assert defined["*"].step_metric == "images_seen"
    assert defined["*"].options.step_sync


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_pictures_of_every_mode_keep_their_pixels(tmp_path, channels):
    grid = picture(torch.linspace(-1, 1, 4 * channels * 256).view(4, channels, 16, 16))
    logger = WandbLogger(str(tmp_path), mode="offline")
    logger.log_picture("samples", grid, step=0)
    close()
    (file,) = (runs(tmp_path)[0] / "files" / "media" / "images").glob("samples*.png")
    with Image.open(file) as decoded:
        assert decoded.convert(grid.mode).tobytes() == grid.tobytes()


def test_a_resumed_run_is_the_same_run(tmp_path):
    ids = []
    for _ in range(2):
        logger = WandbLogger(str(tmp_path), mode="offline")
        ids.append(logger.experiment.id)
        finish()
    assert ids[0] == ids[1] == (tmp_path / "wandb" / "run_id").read_text()


def test_two_jobs_are_two_runs_even_when_the_first_was_left_open(tmp_path):
    first, second = (WandbLogger(str(tmp_path / name), mode="offline") for name in "ab")
    first.log_metrics({"a": 1.0}, step=1)
    second.log_metrics({"b": 1.0}, step=1)
    assert first.version != second.version
    close()
    rows = [history(runs(tmp_path / name)[0]) for name in "ab"]
    assert rows == [[{"a": 1.0, **START}], [{"b": 1.0, **START}]]


def test_a_run_that_is_closed_under_way_does_not_end_the_training(tmp_path, caplog):
    logger = WandbLogger(str(tmp_path), mode="offline")
    logger.log_metrics({"a": 1.0}, step=1)
    finish()
    caplog.clear()
    logger.log_metrics({"a": 2.0}, step=2)
    logger.log_picture("samples", Image.new("L", (4, 4)), step=2)
    (line,) = own_lines(caplog)
    assert "W&B ACCEPTS NO MORE POINTS" in line


def test_an_exception_of_the_fit_leaves_the_run_open(tmp_path):
    logger = WandbLogger(str(tmp_path), mode="offline")
    logger.log_metrics({"a": 1.0}, step=1)
    logger.finalize("failed")
    logger.log_metrics({"a": 2.0}, step=2)
    finish(failed=True)
    close()
    run = runs(tmp_path)[0]
    assert len(history(run)) == 2
    assert [e.exit_code for e in of_type(run, "exit")] == [1]


@pytest.fixture
def dead_server(monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", NOWHERE)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)


@pytest.mark.parametrize("mode", ["auto", "online"])
@pytest.mark.usefixtures("dead_server")
def test_without_an_answer_the_run_is_recorded_offline_with_a_warning(tmp_path, caplog, mode):
    logger = WandbLogger(str(tmp_path), mode=mode, timeout=5)
    logger.log_metrics({"a": 1.0}, step=1)
    close()
    assert history(runs(tmp_path)[0]) == [{"a": 1.0, **START}]
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert f"CANNOT GO ONLINE: {NOWHERE} does not answer" in line


@pytest.mark.usefixtures("dead_server")
def test_without_an_answer_it_fails_where_that_is_wished(tmp_path):
    with pytest.raises(RunError, match="does not answer"):
        _ = WandbLogger(str(tmp_path), on_unreachable="fail", timeout=5).experiment


def test_a_rejection_by_the_server_does_not_end_the_run(tmp_path, caplog, monkeypatch):
    import wandb

    monkeypatch.setattr(wandb_access, "has_credentials", lambda: True)
    monkeypatch.setattr(wandb_access, "unreachable", lambda timeout: "")
    start = wandb.init

    def turn_away(mode: str, **arguments: object) -> object:
        if mode == "online":
            raise wandb.errors.CommError("permission denied\nand more")
        return start(mode=mode, **arguments)

    monkeypatch.setattr(wandb, "init", turn_away)
    WandbLogger(str(tmp_path)).log_metrics({"a": 1.0}, step=1)
    close()
    assert history(runs(tmp_path)[0]) == [{"a": 1.0, **START}]
    assert "CANNOT GO ONLINE: permission denied (check WANDB_API_KEY" in own_lines(caplog)[0]


def test_online_without_a_key_asks_nobody(tmp_path, caplog):
    WandbLogger(str(tmp_path), mode="online").log_metrics({"a": 1.0}, step=1)
    assert len(runs(tmp_path)) == 1
    assert "no credentials" in own_lines(caplog)[0]
    with pytest.raises(RunError, match="no credentials"):
        _ = WandbLogger(str(tmp_path), mode="online", on_unreachable="fail").experiment


@pytest.mark.parametrize("mode", ["offline", "dryrun", "disabled"])
def test_auto_heeds_the_environment(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_MODE", mode)
    logger = WandbLogger(str(tmp_path))
    logger.log_metrics({"a": 1.0}, step=1)
    logger.log_picture("samples", Image.new("L", (4, 4)), step=1)
    assert len(runs(tmp_path)) == (mode != "disabled")


def test_credentials_are_found_where_wandb_looks(tmp_path, monkeypatch):
    import wandb

    assert not wandb_access.has_credentials()
    (tmp_path / "home").mkdir(exist_ok=True)
    netrc = tmp_path / "home" / "netrc"
    netrc.write_text("machine elsewhere.org login user password " + "b" * 40)
    assert not wandb_access.has_credentials()
    netrc.write_text("machine api.wandb.ai login user password " + "b" * 40)
    assert wandb_access.has_credentials()
    monkeypatch.setenv("WANDB_BASE_URL", NOWHERE)
    wandb.teardown()
    assert not wandb_access.has_credentials()
    netrc.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    assert wandb_access.has_credentials()


@pytest.mark.parametrize(
    "arguments", [{"mode": "dry"}, {"on_unreachable": "crash"}, {"timeout": 0.0}]
)
def test_bad_arguments_are_named(tmp_path, arguments):
    (name,) = arguments
    with pytest.raises(ConfigError, match=name):
        WandbLogger(str(tmp_path), **arguments)
