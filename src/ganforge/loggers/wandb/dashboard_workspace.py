"""Builds a Weights & Biases workspace from charts, without requests to the server."""

from __future__ import annotations

from typing import Any

from ganforge.loggers.wandb.dashboard_charts import Chart, Charts
from ganforge.loggers.wandb.dashboard_library import reports, workspaces

AXIS = "images_seen"
NAME = "ganforge"
# Axes of the parallel coordinates, next to the score: the settings that sweeps vary most.
VARIED = ("choices.model", "choices.loss", "optimizer.generator.lr", "data.batch_size", "seed")


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
        "Quality": [line(chart) for chart in charts.quality],
        "Balance of the players": [line(chart) for chart in charts.balance],
        "Gradients": [line(chart) for chart in charts.gradients],
        "Throughput": [line(chart) for chart in charts.throughput],
        "Samples": [gallery("samples"), gallery("reals")],
        "Sweeps": sweep_panels(charts.score),
    }
    shown = {name: panels for name, panels in sections.items() if panels}
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=[
            ws.Section(
                name=name,
                panels=_placed(panels),
                is_open=True,
                panel_settings=ws.SectionPanelSettings(x_axis=AXIS),
            )
            for name, panels in shown.items()
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


def line(chart: Chart) -> Any:
    """Returns a line plot over images seen, which is more comparable between runs than steps."""
    wr = reports()
    return wr.LinePlot(
        title=chart.title,
        x=AXIS,
        y=list(chart.names),
        log_y=chart.log or None,
        title_x="images seen",
    )


def gallery(name: str) -> Any:
    """Returns a media browser for the logged images ``name``."""
    wr = reports()
    return wr.MediaBrowser(title=name, media_keys=[name], num_columns=3)


def sweep_panels(score: str) -> list[Any]:
    """Returns panels that compare settings: coordinates, importance, best scores, differences."""
    wr = reports()
    best = f"best/{score}"
    columns = [wr.ParallelCoordinatesPlotColumn(metric=wr.Config(name)) for name in VARIED]
    columns.append(wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(best)))
    return [
        wr.ParallelCoordinatesPlot(title=f"settings and best {score}", columns=columns),
        wr.ParameterImportancePlot(with_respect_to=best),
        wr.BarPlot(title=f"best {score}", metrics=[best], groupby=wr.Config("choices.model")),
        wr.RunComparer(diff_only="split"),
    ]


def _placed(panels: list[Any], columns: int = 3) -> list[Any]:
    """Returns the panels, laid out in rows of ``columns`` on W&B's grid of 24 columns."""
    wr = reports()
    width = 24 // columns
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        panel.layout = wr.Layout(x=width * column, y=6 * row, w=width, h=6)
    return panels
