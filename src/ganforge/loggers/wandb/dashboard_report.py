"""Builds a Weights & Biases report that compares models, without requests to the server."""

from __future__ import annotations

from typing import Any

from ganforge.loggers.wandb.dashboard_charts import Chart, Charts
from ganforge.loggers.wandb.dashboard_library import reports
from ganforge.loggers.wandb.dashboard_workspace import AXIS, gallery, sweep_panels

TITLE = "Comparison of models"
MODEL = "choices.model"


def build_report(entity: str, project: str, charts: Charts) -> Any:
    """Returns an unsaved ``wandb_workspaces.reports.v2.Report``.

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
        return wr.PanelGrid(runsets=[runs], panels=_beside(panels))

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
            grid([_compared(chart) for chart in charts.quality] + [_best(charts.score)]),
            wr.H1("Balance of the players"),
            grid([_compared(chart) for chart in losses]),
            wr.H1("Samples"),
            grid([gallery("samples"), gallery("reals")], grouped=False),
            wr.H1("Settings"),
            grid(sweep_panels(charts.score), grouped=False),
        ],
    )


def _compared(chart: Chart) -> Any:
    wr = reports()
    return wr.LinePlot(
        title=chart.title,
        x=AXIS,
        y=list(chart.names),
        log_y=chart.log or None,
        title_x="images seen",
        groupby=wr.Config(MODEL),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
    )


def _best(score: str) -> Any:
    wr = reports()
    return wr.BarPlot(
        title=f"best {score}",
        metrics=[f"best/{score}"],
        groupby=wr.Config(MODEL),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
    )


def _beside(panels: list[Any]) -> list[Any]:
    """Returns the panels, laid out in rows of two."""
    wr = reports()
    for number, panel in enumerate(panels):
        row, column = divmod(number, 2)
        panel.layout = wr.Layout(x=12 * column, y=8 * row, w=12, h=8)
    return panels
