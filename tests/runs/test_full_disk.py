from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from ganforge import cli
from ganforge.callbacks.pictures.grid import save
from ganforge.callbacks.samples import Samples
from ganforge.errors import RunError
from ganforge.runs.lock import is_locked
from tests.support.disk import limit
from tests.support.forking import fork, wait
from tests.support.short_runs import SEVEN, go, runs, summary


def full(step: int, size: int) -> list[str]:
    values = {"_target_": "tests.support.disk.FullAt", "step": step, "size": size}
    return [f"+callbacks.full.{key}={value}" for key, value in values.items()]


def type_in_a_child(*arguments: str, size: int | None = None) -> tuple[int, list[str]]:
    """Returns exit code and complaints of a command whose process may not write large files."""
    reading, writing = os.pipe()  # no file: the limit would hold for it too

    def work() -> None:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        sys.stdout = sys.stderr = open(2, "w", buffering=1)  # noqa: SIM115
        logging.getLogger("ganforge").handlers.clear()  # their stream is the parent's
        if size is not None:
            limit(size)
        code = cli.run(list(arguments))
        os.write(writing, f"\n{code}".encode())

    pid = fork(work)
    os.close(writing)
    with open(reading) as file:
        *told, code = file.read().splitlines()
    assert wait(pid) == 0
    return int(code), [line for line in told if line and not line.startswith("run folder:")]


def strays(run: Path) -> list[Path]:
    return [path for path in run.rglob("*") if ".tmp." in path.name or path.name == ".lock"]


def test_a_checkpoint_that_does_not_fit_ends_the_run_and_leaves_the_one_before(whole, tmp_path):
    code, told = type_in_a_child("train", *SEVEN, *full(4, 20_000), f"log_dir={tmp_path}")
    assert code == 1
    (run,) = runs(tmp_path)
    message = f"cannot write checkpoint {run}/checkpoints/last.ckpt: File too large."
    assert told[-1].startswith(f"ganforge: {message}")
    kept = summary(run)
    assert (kept["status"], kept["step"]) == ("failed", 6)
    assert kept["error"].startswith(message)
    assert kept["checkpoint"] == "checkpoints/last.ckpt"
    kept = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["progress"]["iteration"] == 3
    assert strays(run) == []
    assert not is_locked(run)
    go(f"resume={run}", "+callbacks.full.step=99")  # there is space again
    ours, expected = (
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for path in (run, whole)
    )
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


def test_metrics_that_do_not_fit_end_the_run(tmp_path):
    code, told = type_in_a_child("train", *SEVEN, *full(5, 200), f"log_dir={tmp_path}")
    assert code == 1
    (run,) = runs(tmp_path)
    assert told[-1] == f"ganforge: cannot write {run}/metrics.csv: File too large"
    assert any(f"cannot write {run}/summary.json" in line for line in told)
    kept = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["progress"]["iteration"] == 3
    assert summary(run)["status"] == "running"  # as it was: it could not be replaced
    assert strays(run) == []
    go(f"resume={run}", "+callbacks.full.step=99")
    assert (summary(run)["status"], summary(run)["step"]) == ("completed", 7)


def test_a_summary_that_does_not_fit_is_named(tmp_path):
    code, told = type_in_a_child("train", *SEVEN, *full(-1, 200), f"log_dir={tmp_path}")
    assert code == 1
    (run,) = runs(tmp_path)
    assert told[-1] == f"ganforge: cannot write {run}/summary.json: File too large"
    kept = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["progress"]["iteration"] == 7
    assert strays(run) == []


def test_a_disk_that_is_full_from_the_start_leaves_no_folder(tmp_path):
    log_dir = tmp_path / "logs"
    code, told = type_in_a_child("train", *SEVEN, f"log_dir={log_dir}", size=100)
    assert code == 1
    assert told[-1].endswith("composed.yaml: File too large")
    assert runs(log_dir) == []


def test_pictures_that_do_not_fit_are_named(tmp_path):
    picture = Image.effect_noise((64, 64), 50)

    def work() -> None:
        limit(500)
        with pytest.raises(RunError, match=r"cannot write .*grid\.png: File too large"):
            save(picture, tmp_path / "grid.png")

    assert wait(fork(work)) == 0
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_cannot_be_written_end_nothing(tmp_path, caplog):
    samples = Samples(every_n_steps=1)
    trainer = SimpleNamespace(default_root_dir=tmp_path, loggers=[], is_global_zero=True)
    (tmp_path / "samples").write_text("a file")
    for step in range(2):
        samples._publish(trainer, "samples", Image.new("L", (4, 4)), "step_0000001.png", step)
    (tmp_path / "samples").unlink()
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "step_0000001.png").write_bytes(b"half a picture")
    samples._write_gif(trainer)
    (line,) = [r.getMessage() for r in caplog.records]
    assert f"cannot write {tmp_path}/samples/step_0000001.png" in line
    assert "training continues without these pictures" in line
