"""Workers that share a study on a PostgreSQL server, which the test starts."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus

from ganforge.errors import ConfigError
from ganforge.runs.sweep_record import SweepRecord
from ganforge.search.loop import SearchRun
from ganforge.search.study import ERROR, REPEATS, counted
from tests.search.searches import SPACE, join

pytest.importorskip("optuna")
pytest.importorskip("psycopg")

from tests.search.server import find_server, postgresql

BINARIES = find_server()
TRIALS = 8

pytestmark = pytest.mark.skipif(BINARIES is None, reason="no PostgreSQL server on this machine")


@pytest.fixture(scope="module")
def address():
    assert BINARIES is not None
    with postgresql(BINARIES) as address:
        yield address


def given(overrides: list[str], key: str) -> str:
    (value,) = [word.partition("=")[2] for word in overrides if word.startswith(f"{key}=")]
    return value.strip("'")


def train(root: Path, worker: str, overrides: list[str]) -> JobReturn:
    """Stands in for a training: says that it begins, and leaves a summary; one never ends."""
    folder = Path(given(overrides, "run_dir"))
    folder.mkdir(parents=True, exist_ok=True)
    number = int(given(overrides, "tune.trial"))
    line = json.dumps([number, worker, given(overrides, "x"), given(overrides, "n")])
    with open(root / "begun", "a") as file:
        file.write(line + "\n")
    if worker == "one" and number >= 2:
        time.sleep(600)
    time.sleep(0.05)
    metrics = {"fid_small": {"value": float(given(overrides, "x")) ** 2}}
    history = [{"step": 1, "fid_small": metrics["fid_small"]["value"]}]
    summary = {"status": "completed", "metrics": metrics, "history": history}
    (folder / "summary.json").write_text(json.dumps(summary))
    with open(root / "ended", "a") as file:
        file.write(line + "\n")
    return JobReturn(status=JobStatus.COMPLETED)


def work(root: Path, address: str, worker: str) -> None:
    folder = root / worker
    folder.mkdir()
    started = datetime.now().isoformat()
    record = SweepRecord(folder, "search", "", [], started)
    study = join(address, owner=str(folder), n_trials=TRIALS, beat_seconds=1, study="s")

    def launch(jobs: list[list[str]], first: int) -> list[JobReturn]:
        return [train(root, worker, job) for job in jobs]

    SearchRun(study, record, [], launch).run()


def lines(path: Path) -> list[list]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_killed_workers_trials_are_done_by_another_none_lost_and_none_twice(tmp_path, address):
    context = multiprocessing.get_context("fork")
    args = [(tmp_path, address, worker) for worker in ("one", "two")]
    workers = [context.Process(target=work, args=one) for one in args]
    try:
        workers[0].start()
        deadline = time.monotonic() + 120
        while not any(line[0] == 2 for line in lines(tmp_path / "begun")):  # in the midst of it
            assert time.monotonic() < deadline
            time.sleep(0.05)
        workers[1].start()
        while not any(line[1] == "two" for line in lines(tmp_path / "ended")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(workers[0].pid, signal.SIGKILL)
        workers[1].join(180)
        assert workers[1].exitcode == 0
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.kill()
                worker.join()
    study = join(address, owner="reader", n_trials=TRIALS, study="s").study
    trials = study.get_trials()
    done = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert len(done) == len(counted(trials)) == TRIALS
    # None is lost: the killed worker's trial is done by the other, with its values.
    (lost,) = [trial for trial in trials if trial.state.name == "FAIL"]
    assert lost.number == 2
    assert lost.user_attrs[ERROR] == "its worker was killed"
    (repeated,) = [trial for trial in trials if REPEATS in trial.user_attrs]
    assert (repeated.user_attrs[REPEATS], repeated.params) == (2, lost.params)
    # None is run twice: each number began once, and each pair of values ended once.
    begun, ended = lines(tmp_path / "begun"), lines(tmp_path / "ended")
    assert sorted(line[0] for line in begun) == [trial.number for trial in trials]
    assert set(Counter(tuple(line[2:]) for line in ended).values()) == {1}
    assert len(ended) == TRIALS
    for trial in done:
        assert trial.value == pytest.approx(trial.params["x"] ** 2)
    assert SweepRecord.read(tmp_path / "two").status == "completed"


def test_another_search_is_refused_on_a_server(address):
    join(address, n_trials=1, study="s")
    with pytest.raises(ConfigError, match="belongs to another search"):
        join(address, {"x": SPACE["x"]}, n_trials=1, study="s")
