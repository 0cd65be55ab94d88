"""Figures of a study: history of the objectives, parameter importances and the Pareto front."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge import atomic
from ganforge.errors import install

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna import Study
    from optuna.trial import FrozenTrial

log = logging.getLogger("ganforge")

FEWEST = 4  # completed trials needed; with fewer, importances are noise


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
