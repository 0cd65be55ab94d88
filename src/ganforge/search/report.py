"""Output of a search: the best trials on the terminal, study.csv and figures."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge import atomic
from ganforge.compare.cells import Table
from ganforge.console import console
from ganforge.errors import install
from ganforge.regular_files import read_mapping
from ganforge.runs.sweep_record import SweepRecord
from ganforge.search.objectives import score_named
from ganforge.search.study import ABANDONED, ERROR, FOLDER, REPEATS, SharedStudy, counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna import Study
    from optuna.trial import FrozenTrial

log = logging.getLogger("ganforge")

SHOWN = 10  # trials on the terminal
FEWEST = 4  # completed trials needed; with fewer, importances are noise
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
    folders = (trial.user_attrs.get(FOLDER) for trial in study.best_trials())
    folder = next((folder for folder in folders if folder), None)  # all measure the same scores
    summary = read_mapping(Path(str(folder)) / "summary.json") if folder else {}
    scores = list(summary.get("metrics") or {})
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


def draw(study: Study, objectives: list[str], folder: Path) -> list[Path]:
    """Draws the figures with enough data; without matplotlib, logs a warning and returns [].

    Args:
        study: the study; trials may still be running.
        objectives: names of the objectives.
        folder: output folder.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        log.warning("no figures: matplotlib is not installed: %s", install("plots"))
        return []
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    written = []
    if done:
        written.append(_save(history(study, done, objectives), folder / "study_history.png"))
    if len(done) >= FEWEST and _varied(done):
        shares = [importances(study, index) for index in range(len(objectives))]
        written.append(_save(importance(shares, objectives), folder / "study_importance.png"))
    if done and len(objectives) == 2:
        written.append(_save(pareto(study, done, objectives), folder / "study_pareto.png"))
    return written


def history(study: Study, done: list[FrozenTrial], objectives: list[str]) -> Figure:
    """Returns a figure of each objective over trials: completed, pruned and best so far."""
    from optuna.trial import TrialState

    figure, panels = _panels(len(objectives))
    pruned = study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))
    for index, (axes, name) in enumerate(zip(panels, objectives, strict=True)):
        numbers = [trial.number for trial in done]
        values = [trial.values[index] for trial in done]
        axes.plot(numbers, values, "o", markersize=4, label="completed")
        scored = [t for t in pruned if t.values and len(objectives) == 1]
        if scored:
            points = [t.number for t in scored], [t.values[0] for t in scored]
            axes.plot(*points, "x", markersize=4, color="0.5", label="pruned")
        steps = best_so_far(values, study.directions[index].name.lower())
        axes.step(numbers, steps, where="post", color="C3", label="best so far")
        _finish(axes, "trial", name, values)
    return figure


def best_so_far(values: list[float], direction: str) -> list[float]:
    """Returns the running best of the values."""
    best = min if direction == "minimize" else max
    return [best(values[: index + 1]) for index in range(len(values))]


def importances(study: Study, index: int) -> dict[str, float]:
    """Returns the share of each parameter in an objective's variance, largest first.

    Computed by functional ANOVA over random forests (Hutter et al., ICML 2014), with a fixed seed.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    evaluator = FanovaImportanceEvaluator(seed=0)
    return dict(get_param_importances(study, evaluator=evaluator, target=lambda t: t.values[index]))


def importance(shares: list[dict[str, float]], objectives: list[str]) -> Figure:
    """Returns a bar chart of each parameter's share, with one panel per objective."""
    figure, panels = _panels(len(objectives), height=1.2 + 0.4 * len(shares[0]))
    for axes, part, name in zip(panels, shares, objectives, strict=True):
        keys = list(part)[::-1]
        bars = axes.barh(keys, [part[key] for key in keys])
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize="small")
        axes.set_xlim(0, 1.1)
        axes.set_xlabel(f"share of the variance of {name} (functional ANOVA)")
    return figure


def pareto(study: Study, done: list[FrozenTrial], objectives: list[str]) -> Figure:
    """Returns a scatter plot of two objectives with the Pareto front marked."""
    figure, (axes,) = _panels(1)
    front = sorted(study.best_trials, key=lambda trial: trial.values[0])
    axes.plot(*_columns(done), "o", markersize=4, color="0.6", label="completed")
    axes.plot(*_columns(front), "o-", markersize=5, linewidth=0.8, color="C3", label="Pareto front")
    for trial in front:
        axes.annotate(str(trial.number), trial.values, xytext=(4, 4), textcoords="offset points")
    _finish(axes, objectives[0], objectives[1], [])
    return figure


def _columns(trials: list[FrozenTrial]) -> tuple[list[float], list[float]]:
    return [trial.values[0] for trial in trials], [trial.values[1] for trial in trials]


def _varied(done: list[FrozenTrial]) -> bool:
    """Whether every objective varies: no forest can be fitted to equal values."""
    columns = zip(*(trial.values for trial in done), strict=True)
    return all(len(set(column)) > 1 for column in columns)


def _panels(count: int, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height * count), layout="constrained")
    return figure, list(figure.subplots(count, squeeze=False)[:, 0])


def _finish(axes: Axes, x: str, y: str, values: list[float]) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if values and min(values) > 0 and max(values) / min(values) > 30:
        axes.set_yscale("log")  # keeps one diverging trial from flattening all others
    if x == "trial":
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize="small")


def _save(figure: Figure, path: Path) -> Path:
    with atomic.writing(path) as file:
        figure.savefig(file, format="png", dpi=120)
    return path
