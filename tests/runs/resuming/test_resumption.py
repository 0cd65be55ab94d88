from __future__ import annotations

import json
import re

import pytest
from omegaconf import OmegaConf

from ganforge.errors import ConfigError
from ganforge.runs.record import note_change, noted_changes
from ganforge.runs.resuming import resumption
from ganforge.runs.resuming.own_keys import log_length_change, refuse_endless
from ganforge.runs.resuming.resumption import changed_data, check_allowed, warn_of_other_data


class Data:
    name = "folder"

    def __init__(self, images: int) -> None:
        self.images = images

    def identity(self):
        return [{"images": self.images, "names": "a"}]


@pytest.fixture
def told(tmp_path):
    then = {"images": Data(8).identity()}

    def told(images: int, allow=(), checkpoint=then):
        return changed_data(checkpoint, Data(images), allow, tmp_path, tmp_path / "last.ckpt")

    return told


def test_other_images_are_rejected_until_they_are_allowed(told, tmp_path, caplog):
    assert told(8) is None
    with pytest.raises(ConfigError, match=r"9 training images, 8 before.*resume.allow=\[data\]"):
        told(9)
    note = told(9, ["data"])
    assert "9 training images, 8 before" in caplog.text
    note_change(tmp_path, "loss.weight")
    note_change(tmp_path, note)
    assert noted_changes(tmp_path) == sorted([note, "loss.weight"])
    assert told(9) is None  # its own images by now
    with pytest.raises(ConfigError, match="10 training images"):
        told(10)


@pytest.mark.parametrize("checkpoint", [{}, {"images": None}, {"images": "x"}])
def test_a_checkpoint_without_images_passes(told, checkpoint):
    assert told(9, checkpoint=checkpoint) is None


def test_scores_against_other_images_are_marked(tmp_path, caplog):
    then, path = Data(8).identity(), tmp_path / "last.ckpt"
    warn_of_other_data(then, path, Data(8))
    assert caplog.text == ""
    warn_of_other_data(then, path, Data(9))
    assert "9 training images, 8 before. Scores are computed with the present" in caplog.text


def test_an_unknown_allowance_is_refused():
    check_allowed(["data", "links"])
    with pytest.raises(ConfigError, match=r"resume.allow=\[date\]: did you mean 'data'"):
        check_allowed(["date"])


def linear(max_steps: int, total="${trainer.max_steps}"):
    schedule = {"_target_": "ganforge.schedules.LinearDecay", "total": total}
    return OmegaConf.create({"schedule": schedule, "trainer": {"max_steps": max_steps}})


def test_a_decay_that_follows_the_length_says_so(caplog):
    log_length_change(linear(20), linear(40), 20)
    assert "schedule.total follows the length of the run: 20 before, 40 now" in caplog.text
    assert "at step 20 was 0 and becomes 0.5. schedule.total=20 keeps it" in caplog.text


def test_a_decay_of_its_own_length_says_nothing(caplog):
    log_length_change(linear(20), linear(40, total=20), 20)
    log_length_change(linear(20), linear(20), 10)
    assert caplog.text == ""


def test_a_run_without_a_length_keeps_that_of_its_decay():
    refuse_endless(linear(20), linear(-1, total=20))
    with pytest.raises(ConfigError, match=r"trainer.max_steps=-1 leaves none: schedule.total=20"):
        refuse_endless(linear(20), linear(-1))


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ({"torch": "1.0", "ganforge": "0.0"}, r"ganforge \S+ \(before: 0.0\), torch \S+ \(before"),
        (None, None),
        ("x", None),
    ],
)
def test_another_version_is_reported_in_one_line(tmp_path, caplog, before, line):
    sessions = [{"environment": {"versions": before}}]
    (tmp_path / "provenance.json").write_text(json.dumps(sessions))
    resumption.log_version_changes(tmp_path)
    assert bool(caplog.records) == (line is not None)
    assert line is None or re.search(line, caplog.text)


@pytest.mark.parametrize(
    ("before", "now", "line"),
    [
        (4, 1, r"resumed in 1 process \(before: 4\): layers.*trainer\.devices=N"),
        (1, 4, r"resumed in 4 processes \(before: 1\)"),
        (2, 2, None),
        (None, 2, None),
        ("x", 2, None),
    ],
)
def test_another_number_of_processes_is_reported(tmp_path, caplog, before, now, line):
    sessions = [{"environment": {"processes": before}}]
    (tmp_path / "provenance.json").write_text(json.dumps(sessions))
    resumption.log_process_change(tmp_path, now)
    assert bool(caplog.records) == (line is not None)
    assert line is None or re.search(line, caplog.text)
