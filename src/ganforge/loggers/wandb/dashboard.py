"""Builds a Weights & Biases workspace and a report from charts, without requests to the server."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ganforge.errors import ConfigError, install
from ganforge.loggers.wandb.dashboard_charts import Chart, Charts

AXIS = "images_seen"
NAME = "ganforge"  # of the workspace
TITLE = "Comparison of models"  # of the report
MODEL = "choices.model"
# Axes of the parallel coordinates, next to the score: the settings that sweeps vary most.
VARIED = (MODEL, "choices.loss", "optimizer.generator.lr", "data.batch_size", "seed")


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
