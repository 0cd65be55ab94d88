"""Builds a Weights & Biases workspace and a report from charts, without requests to the server."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganforge.errors import ConfigError, install
from ganforge.logged_rows import LoggedRows

AXIS = "images_seen"
NAME = "ganforge"  # of the workspace
TITLE = "Comparison of models"  # of the report
MODEL = "choices.model"
# Axes of the parallel coordinates, next to the score: the settings that sweeps vary most.
VARIED = (MODEL, "choices.loss", "optimizer.generator.lr", "data.batch_size", "seed")
FAMILIES = ("fid", "kid", "is")
PLAYERS = ("generator", "discriminator")
COUNTS = ("step", "images_seen", "seconds")
# Logged by every run of a noise-to-image GAN; used if there are no runs to read names from.
USUAL = (
    *COUNTS,
    "images_per_second",
    *(
        f"{player}/{name}"
        for name in ("loss", "gradient_norm", "learning_rate")
        for player in PLAYERS
    ),
    *(
        f"discriminator/{kind}_{name}"
        for name in ("logit", "accuracy")
        for kind in ("real", "fake")
    ),
    "fid_classifier",
    "kid_classifier",
    "is_classifier",
)


def workspaces() -> Any:
    """Returns the module for workspaces."""
    return _module("wandb_workspaces.workspaces")


def reports() -> Any:
    """Returns the module for reports and for the panels of reports and workspaces."""
    return _module("wandb_workspaces.reports.v2")


def require_library() -> None:
    """Raises ConfigError, naming the extra, if wandb-workspaces is not installed."""
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise ConfigError(
            f"ganforge dashboard needs the wandb-workspaces package: {install('dashboard')}"
        )


def build_workspace(entity: str, project: str, charts: Charts) -> Any:
    """Returns an unsaved ``wandb_workspaces.workspaces.Workspace``.

    Its sections are quality, balance of the players, gradients, throughput, samples and sweeps.

    Args:
        entity: team or user.
        project: project with the runs.
        charts: charts of the logged values.
    """
    ws = workspaces()
    sections = {
        "Quality": [_line(chart) for chart in charts.quality],
        "Balance of the players": [_line(chart) for chart in charts.balance],
        "Gradients": [_line(chart) for chart in charts.gradients],
        "Throughput": [_line(chart) for chart in charts.throughput],
        "Samples": [_gallery("samples"), _gallery("reals")],
        "Sweeps": _sweep_panels(charts.score),
    }
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=[
            ws.Section(
                name=name,
                panels=_arranged(panels, columns=3, height=6),
                is_open=True,
                panel_settings=ws.SectionPanelSettings(x_axis=AXIS),
            )
            for name, panels in sections.items()
            if panels
        ],
        settings=ws.WorkspaceSettings(x_axis=AXIS, max_runs=50),
        runset_settings=ws.RunsetSettings(
            pinned_columns=[
                "run:state",
                "config:choices.value.model",
                f"summary:best/{charts.score}",
                "summary:best/step",
                "summary:images_seen",
            ]
        ),
    )


def build_report(entity: str, project: str, charts: Charts) -> Any:
    """Returns an unsaved ``wandb_workspaces.reports.v2.Report`` that compares models.

    Runs are grouped by model; lines show the mean over the runs of a model, with their range.

    Args:
        entity: team or user.
        project: project with the runs.
        charts: charts of the logged values.
    """
    wr = reports()

    def grid(panels: list[Any], grouped: bool = True) -> Any:
        groupby = [f"config.{MODEL}"] if grouped else []
        # Empty names mean the report's project; a named project would be looked up on the server.
        runs = wr.Runset(entity="", project="", name="runs", groupby=groupby)
        return wr.PanelGrid(runsets=[runs], panels=_arranged(panels, columns=2, height=8))

    by_model = {
        "groupby": wr.Config(MODEL),
        "groupby_aggfunc": "mean",
        "groupby_rangefunc": "minmax",
    }
    best, name = f"best/{charts.score}", f"best {charts.score}"
    quality = [_line(chart, **by_model) for chart in charts.quality]
    losses = [chart for chart in charts.balance if chart.title in ("loss", "logit", "accuracy")]
    return wr.Report(
        entity=entity,
        project=project,
        title=TITLE,
        description="Models by their scores, over the seeds of each.",
        width="fluid",
        blocks=[
            wr.TableOfContents(),
            wr.H1("Quality"),
            wr.P("Mean and range over the runs of each model. Scores of other protocols differ."),
            grid([*quality, wr.BarPlot(title=name, metrics=[best], **by_model)]),
            wr.H1("Balance of the players"),
            grid([_line(chart, **by_model) for chart in losses]),
            wr.H1("Samples"),
            grid([_gallery("samples"), _gallery("reals")], grouped=False),
            wr.H1("Settings"),
            grid(_sweep_panels(charts.score), grouped=False),
        ],
    )


def _line(chart: Chart, **grouping: Any) -> Any:
    """Returns a line plot over images seen, which is more comparable between runs than steps."""
    return reports().LinePlot(
        title=chart.title,
        x=AXIS,
        y=list(chart.names),
        log_y=chart.log or None,
        title_x="images seen",
        **grouping,
    )


def _gallery(name: str) -> Any:
    """Returns a media browser for the logged images ``name``."""
    return reports().MediaBrowser(title=name, media_keys=[name], num_columns=3)


def _sweep_panels(score: str) -> list[Any]:
    """Returns panels that compare settings: coordinates, importance, best scores, differences."""
    wr = reports()
    best = f"best/{score}"
    columns = [wr.ParallelCoordinatesPlotColumn(metric=wr.Config(name)) for name in VARIED]
    columns.append(wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(best)))
    return [
        wr.ParallelCoordinatesPlot(title=f"settings and best {score}", columns=columns),
        wr.ParameterImportancePlot(with_respect_to=best),
        wr.BarPlot(title=f"best {score}", metrics=[best], groupby=wr.Config(MODEL)),
        wr.RunComparer(diff_only="split"),
    ]


def _arranged(panels: list[Any], columns: int, height: int) -> list[Any]:
    """Returns the panels, laid out in rows of ``columns`` on W&B's grid of 24 columns."""
    width = 24 // columns
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        panel.layout = reports().Layout(x=width * column, y=height * row, w=width, h=height)
    return panels


def _module(name: str) -> Any:
    require_library()
    return importlib.import_module(name)


@dataclass(frozen=True)
class Chart:
    """A line plot over images seen.

    Attributes:
        title: title of the plot.
        names: names of the logged values.
        log: whether the y-axis is logarithmic.
    """

    title: str
    names: tuple[str, ...]
    log: bool = False


@dataclass(frozen=True)
class Charts:
    """Charts by section; see :func:`charts_of`."""

    quality: list[Chart]
    balance: list[Chart]
    gradients: list[Chart]
    throughput: list[Chart]

    @property
    def score(self) -> str:
        """The score for comparing models: the first one logged, or "fid" if there is none."""
        return self.quality[0].names[0] if self.quality else "fid"


def logged_names(runs: Iterable[Path]) -> list[str]:
    """Returns the distinct columns of the runs' metrics.csv files, in order of appearance."""
    found: dict[str, None] = {}
    for run in runs:
        try:
            found |= dict.fromkeys(LoggedRows.read(run / "metrics.csv").columns)
        except OSError:  # killed before its first point, or no CSV logger
            continue
    return list(found)


def charts_of(names: Iterable[str]) -> Charts:
    """Returns the charts for the given names of logged values.

    Scores, whose names have no ``/``, get one chart per family (fid, kid, is) or one each. Gradient
    norms, learning rates and penalties form the section on gradients, images per second the section
    on throughput, and all other values the section on the balance of the players.
    """
    left = [name for name in names if name not in COUNTS and not name.endswith("_std")]
    throughput = [name for name in left if name == "images_per_second"]
    scores = [name for name in left if "/" not in name and name not in throughput]
    gradients = [name for name in left if _is_about_gradients(name)]
    balance = [name for name in left if name not in {*throughput, *scores, *gradients}]
    return Charts(
        quality=_families(scores),
        balance=_by_quantity(balance),
        gradients=_by_quantity(gradients),
        throughput=[Chart(name, (name,)) for name in throughput],
    )


def _is_about_gradients(name: str) -> bool:
    quantity = name.rpartition("/")[2]
    parts = ("gradient", "learning_rate", "r1", "r2", "path_length", "penalty")
    return "/" in name and quantity.startswith(parts)


def _families(scores: list[str]) -> list[Chart]:
    found: dict[str, list[str]] = {}
    for name in sorted(scores, key=_rank):
        first = name.partition("_")[0]
        found.setdefault(first if first in FAMILIES else name, []).append(name)
    return [
        Chart(title, tuple(names), log=title in ("fid", "kid")) for title, names in found.items()
    ]


def _rank(name: str) -> int:
    first = name.partition("_")[0]
    return FAMILIES.index(first) if first in FAMILIES else len(FAMILIES)


def _by_quantity(names: list[str]) -> list[Chart]:
    """Returns charts that combine both players, and real and fake, of the same quantity."""
    found: dict[str, list[str]] = {}
    for name in names:
        player, _, quantity = name.partition("/")
        for kind in ("real_", "fake_"):
            quantity = quantity.removeprefix(kind)
        title = quantity if player in PLAYERS else f"{player}/{quantity}"
        found.setdefault(title.replace("_", " "), []).append(name)
    return [Chart(title, tuple(names)) for title, names in found.items()]
