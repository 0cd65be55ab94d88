"""Output of a search: the best trials on the terminal, study.csv and figures."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge import atomic
from ganforge.compare.cells import Table
from ganforge.console import console
from ganforge.regular_files import read_mapping
from ganforge.runs.sweep_record import SweepRecord
from ganforge.search.figures import draw
from ganforge.search.objectives import score_named
from ganforge.search.study import ABANDONED, ERROR, FOLDER, REPEATS, SharedStudy, counted

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SHOWN = 10  # trials on the terminal
STATES = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed"}


def report(study: SharedStudy, record: SweepRecord) -> None:
    """Prints the best trials; writes study.csv and figures into the search's folder."""
    trials = study.trials()
    if not trials:
        return
    console.print(best_table(study).rich())
    written = [record.path / "study.csv"]
    atomic.write(written[0], trials_csv(study).encode())
    written += draw(study.study, published(study), record.path)
    for path in written:
        console.print(f"written to {path}", soft_wrap=True)


def published(study: SharedStudy) -> list[str]:
    """Returns the published names of the objectives.

    With classifier features ``fid`` is ``fid_classifier``, which keeps it distinct from other FIDs.
    """
    folders = [trial.user_attrs.get(FOLDER) for trial in study.best_trials()]
    summaries = [read_mapping(Path(str(folder)) / "summary.json") for folder in folders if folder]
    scores = list((summaries[0].get("metrics") or {}) if summaries else {})
    return [score_named(name, scores) or name for name in study.search.objectives]


def best_table(study: SharedStudy) -> Table:
    """Returns a table of the best trials; with several objectives, of the Pareto front."""
    names = published(study)
    rows = [_row(trial, study) for trial in study.best_trials()[:SHOWN]]
    columns = ["trial", *names, *study.space]
    states = [state_of(trial) for trial in counted(study.trials())]
    kinds = {state: states.count(state) for state in dict.fromkeys(states)}
    tally = ", ".join(f"{n} {state}" for state, n in kinds.items())
    which = "best" if len(names) == 1 else "Pareto-best"
    title = f"search {study.study.study_name}: {tally}; the {which} trials"
    return Table(title, columns, rows)


def trials_csv(study: SharedStudy) -> str:
    """Returns a CSV line per trial: state, values, parameters, wall time, folder and error."""
    names = published(study)
    head = ["trial", "state", *names, *study.space, "wall_seconds", "repeats", "folder", "error"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for trial in study.trials():
        seconds = trial.duration.total_seconds() if trial.duration is not None else None
        values = trial.values if trial.values and len(trial.values) == len(names) else None
        row = [trial.number, state_of(trial), *(values or [None] * len(names))]
        row += [trial.params.get(key) for key in study.space]
        row += [seconds, *(trial.user_attrs.get(key) for key in (REPEATS, FOLDER, ERROR))]
        writer.writerow(row)
    return text.getvalue()


def state_of(trial: FrozenTrial) -> str:
    """Returns a trial's state: completed, pruned, failed, abandoned, running or waiting."""
    if trial.user_attrs.get(ABANDONED):
        return "abandoned"
    return STATES.get(trial.state.name, trial.state.name.lower())


def _row(trial: FrozenTrial, study: SharedStudy) -> list[str]:
    values = [f"{value:.5g}" for value in trial.values]
    parameters = [trial.params.get(key) for key in study.space]
    texts = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in parameters]
    return [str(trial.number), *values, *texts]
