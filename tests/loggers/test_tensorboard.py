from __future__ import annotations

import importlib.util
import io
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganforge.callbacks.pictures.grid import picture
from ganforge.errors import ConfigError
from ganforge.loggers.facts import PictureLogger
from ganforge.loggers.tensorboard import TensorBoardLogger
from tests.support.disk import full


def events(folder) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard")).Reload()


def points(folder, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events(folder).Scalars(name)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_points_and_pictures_are_read_back(tmp_path, channels):
    logger = TensorBoardLogger(str(tmp_path))
    assert isinstance(logger, PictureLogger)
    grid = picture(torch.linspace(-1, 1, 4 * channels * 64 * 64).view(4, channels, 64, 64))
    logger.log_hyperparams({"seed": 3, "model": {"critic_steps": 5}})
    logger.log_metrics({"fid": 1.5}, step=7)
    logger.log_picture("samples", grid, step=7)
    logger.finalize("success")
    assert points(tmp_path, "fid") == [(7, 1.5)]
    (event,) = events(tmp_path).Images("samples")
    assert event.step == 7
    with Image.open(io.BytesIO(event.encoded_image_string)) as decoded:
        np.testing.assert_array_equal(np.asarray(decoded.convert(grid.mode)), np.asarray(grid))
    (text,) = events(tmp_path).Tensors("config/text_summary")
    assert b'"critic_steps": 5' in text.tensor_proto.string_val[0]


def test_a_resumed_run_shows_no_point_twice(tmp_path):
    first = TensorBoardLogger(str(tmp_path))
    for step in (1, 2, 3):
        first.log_metrics({"a": step}, step=step)
    first.finalize("failed")
    resumed = TensorBoardLogger(str(tmp_path))
    resumed.truncate_after(1)
    resumed.log_metrics({"a": 20.0}, step=2)
    resumed.finalize("success")
    assert points(tmp_path, "a") == [(1, 1.0), (2, 20.0)]


def test_without_the_package_the_command_that_brings_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="uv sync --extra tensorboard"):
        TensorBoardLogger(str(tmp_path))


def test_bad_arguments_are_named(tmp_path):
    with pytest.raises(ConfigError, match="flush_seconds"):
        TensorBoardLogger(str(tmp_path), flush_seconds=0)


def test_events_that_cannot_be_written_end_nothing(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # of TensorBoard's own thread
    (tmp_path / "tensorboard").write_text("a file")
    no_folder, no_room = TensorBoardLogger(str(tmp_path)), TensorBoardLogger(str(tmp_path / "full"))
    assert hasattr(no_folder, "experiment")  # what Lightning's hooks ask
    with full():
        for step in range(3):
            for logger in (no_folder, no_room):
                logger.log_metrics({"fid": 1.5}, step=step)
                logger.log_picture("samples", Image.effect_noise((64, 64), 50), step=step)
                logger.finalize("success")
    said = [record.getMessage() for record in caplog.records if record.name.startswith("ganforge")]
    assert len(said) == 2
    assert all("TensorBoard events cannot be written" in line for line in said)
