from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from ganforge.errors import RunError
from ganforge.loggers.metrics_csv import MetricsCSV, read
from tests.support.forking import fork, wait


def text(folder: Path) -> str:
    return (folder / "metrics.csv").read_text()


def test_first_columns_lead_and_the_others_follow_in_order_of_appearance(tmp_path):
    logger = MetricsCSV(str(tmp_path))
    logger.log_metrics({"b": 1.5, "seconds": 0.5, "a": 2, "images_seen": 64.0}, step=1)
    logger.log_metrics({"a": 3, "images_seen": 128.0}, step=2)
    assert text(tmp_path) == "step,images_seen,seconds,b,a\n1,64,0.5,1.5,2\n2,128,,,3\n"


def test_rows_of_one_step_are_one_row(tmp_path):
    logger = MetricsCSV(str(tmp_path))
    logger.log_metrics({"a": 1.25, "b": 100000.5}, step=5)
    logger.log_metrics({"b": 2.0}, step=5)  # shorter than what it replaces
    logger.log_metrics({"fid": 3.0}, step=5)  # a new column
    logger.log_metrics({"a": 7.0}, step=6)
    expected = "step,images_seen,seconds,a,b,fid\n5,,,1.25,2.0,3.0\n6,,,7.0,,\n"
    assert text(tmp_path) == expected


def test_a_point_without_a_step_belongs_to_the_last_one(tmp_path):
    logger = MetricsCSV(str(tmp_path))
    logger.log_metrics({"a": 1}, step=3)
    logger.log_metrics({"b": 2})
    assert read(tmp_path / "metrics.csv")[1] == [
        {"step": "3", "images_seen": "", "seconds": "", "a": "1", "b": "2"}
    ]


def test_numbers_read_back_exactly(tmp_path):
    numbers = [0.1, 1 / 3, 1e-45, -2.5e300, float("inf"), 5e-324, 123456789.123456789]
    logger = MetricsCSV(str(tmp_path))
    for step, value in enumerate(numbers):
        logger.log_metrics({"x": value, "t": torch.tensor(value, dtype=torch.float64)}, step=step)
    _, rows = read(tmp_path / "metrics.csv")
    assert [float(row["x"]) for row in rows] == numbers
    assert [float(row["t"]) for row in rows] == numbers


def test_names_with_commas_and_quotes_survive(tmp_path):
    MetricsCSV(str(tmp_path)).log_metrics({'a,"b"': 1}, step=1)
    assert read(tmp_path / "metrics.csv")[1][0]['a,"b"'] == "1"


def log_run(logger: MetricsCSV, steps: range) -> None:
    for step in steps:
        logger.log_metrics({"images_seen": 64 * step, "loss": step / 7}, step=step)
        if step % 4 == 0:
            logger.log_metrics({"fid": 100 / step}, step=step)


@pytest.mark.parametrize(("killed_at", "checkpoint"), [(3, 2), (7, 6), (9, 3), (8, 0)])
def test_a_killed_and_resumed_run_has_the_file_of_an_uninterrupted_one(
    tmp_path, killed_at, checkpoint
):
    log_run(MetricsCSV(str(tmp_path / "whole")), range(1, 13))
    log_run(MetricsCSV(str(tmp_path / "killed")), range(1, killed_at + 1))
    resumed = MetricsCSV(str(tmp_path / "killed"))
    resumed.truncate_after(checkpoint)
    log_run(resumed, range(checkpoint + 1, 13))
    assert text(tmp_path / "killed") == text(tmp_path / "whole")


def test_columns_that_only_occurred_beyond_the_checkpoint_are_forgotten(tmp_path):
    logger = MetricsCSV(str(tmp_path))
    logger.log_metrics({"a": 1}, step=1)
    logger.log_metrics({"late": 1}, step=2)
    logger.truncate_after(1)
    assert text(tmp_path) == "step,images_seen,seconds,a\n1,,,1\n"


def test_a_torn_row_is_dropped(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,images_seen,seconds,a\n1,,,1\n\n,\n")
    MetricsCSV(str(tmp_path)).log_metrics({"a": 2}, step=2)
    assert text(tmp_path) == "step,images_seen,seconds,a\n1,,,1\n2,,,2\n"


def test_truncating_where_nothing_was_logged_is_fine(tmp_path):
    MetricsCSV(str(tmp_path)).truncate_after(0)
    assert not (tmp_path / "metrics.csv").exists()


def test_rows_outlive_a_kill(tmp_path):
    def log_and_die() -> None:
        logger = MetricsCSV(str(tmp_path))
        for step in range(5):
            logger.log_metrics({"a": step}, step=step)
        os.kill(os.getpid(), signal.SIGKILL)

    assert wait(fork(log_and_die)) == -signal.SIGKILL
    assert [row["a"] for row in read(tmp_path / "metrics.csv")[1]] == list("01234")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(RunError, match=f"cannot write {blocked}{os.sep}metrics.csv"):
        MetricsCSV(str(blocked)).log_metrics({"a": 1}, step=1)


HEAD = b"step,images_seen,seconds,a\n"
DAMAGES = {
    "a byte": HEAD + b"1,4,0.1,1\n2,8,0.\xff,2\n3,12,0.3,3\n",
    "a long field": HEAD + b"1,4,0.1,1\n2,8,0.2," + b"x" * 200_000 + b"\n3,12,0.3,3\n",
    "zeros": HEAD + b"1,4,0.1,1\n" + bytes(500) + b"\n3,12,0.3,3\n",
    "many digits": HEAD + b"1,4,0.1,1\n" + b"9" * 5000 + b",8,0.2,2\n3,12,0.3,3\n",
    "another digit": HEAD + b"1,4,0.1,1\n" + "²,8,0.2,2\n3,12,0.3,3\n".encode(),
    "a cell too few": HEAD + b"1,4,0.1,1\n2,8,0.2\n3,12,0.3,3\n",
    "a quote": HEAD + b'1,4,0.1,1\n2,8,"0.2"x,2\n3,12,0.3,3\n',
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_renamed_and_its_valid_rows_are_kept(tmp_path, kind, caplog):
    path = tmp_path / "metrics.csv"
    path.write_bytes(DAMAGES[kind])
    logger = MetricsCSV(str(tmp_path))
    logger.truncate_after(3)
    logger.log_metrics({"a": 4, "images_seen": 16}, step=4)
    assert text(tmp_path) == (HEAD + b"1,4,0.1,1\n3,12,0.3,3\n4,16,,4\n").decode()
    assert (tmp_path / "metrics.csv.damaged").read_bytes() == DAMAGES[kind]
    assert "1 rows could not be read. It was renamed metrics.csv.damaged" in caplog.text


@pytest.mark.parametrize("kind", ["zeros", "no header", "link", "fifo", "folder"])
def test_invalid_metrics_files_are_renamed(tmp_path, kind, caplog):
    path, precious = tmp_path / "run" / "metrics.csv", tmp_path / "precious"
    path.parent.mkdir()
    precious.write_bytes(HEAD)
    (path.parent / "metrics.csv.damaged").write_text("of before")
    if kind in ("zeros", "no header"):
        path.write_bytes(bytes(1000) if kind == "zeros" else b"a,b\n1,2\n")
    elif kind == "link":
        path.symlink_to(precious)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    logger = MetricsCSV(str(path.parent))
    logger.truncate_after(3)
    logger.log_metrics({"a": 4}, step=4)
    assert text(path.parent) == "step,images_seen,seconds,a\n4,,,4\n"
    assert precious.read_bytes() == HEAD
    assert os.path.lexists(path.parent / "metrics.csv.damaged-2")
    assert "renamed metrics.csv.damaged-2" in caplog.text
