from __future__ import annotations

import json
from typing import Any, cast

from ganforge.config.requests import DashboardRequest
from ganforge.console import console, setup_logging
from ganforge.errors import RunError
from ganforge.loggers.wandb.access import first_line, require_server
from ganforge.loggers.wandb.dashboard import (
    NAME,
    TITLE,
    USUAL,
    Charts,
    build_report,
    build_workspace,
    charts_of,
    logged_names,
    reports,
    require_library,
    workspaces,
)
from ganforge.runs.past import find_runs, named_paths

SERVER_SECONDS = 20.0  # seconds to wait for the server's first answer


def make_dashboard(request: DashboardRequest) -> dict[str, Any]:
    """Creates or updates a project's workspace and report in Weights & Biases, or prints them.

    Args:
        request: the command as typed.

    Returns:
        The payloads for the server, by name: "workspace" and "report".

    Raises:
        ConfigError: if wandb-workspaces is not installed.
        RunError: if there is no such run, or the server cannot be reached.
    """
    setup_logging()
    require_library()
    charts = _charts(request)
    if not request.print:
        require_server(SERVER_SECONDS)
    entity = str(request.entity) if request.entity is not None else _default_entity(request.print)
    workspace = build_workspace(entity, request.project, charts)
    report = build_report(entity, request.project, charts)
    if request.print:
        print(json.dumps(described(workspace, report), indent=2))
    else:
        _save(workspace, report, request)
    return described(workspace, report)


def described(workspace: Any, report: Any) -> dict[str, Any]:
    """Returns a workspace and a report as plain containers, as they are sent to the server."""
    objects = {"workspace": workspace, "report": report}
    return {
        name: json.loads(item._to_model().model_dump_json(by_alias=True, exclude_none=True))
        for name, item in objects.items()
    }


def _charts(request: DashboardRequest) -> Charts:
    """Returns charts of the values logged by the selected runs, or the usual ones without runs."""
    try:
        names = logged_names(find_runs(named_paths(request.runs, request.log_dir)))
    except RunError:
        if request.runs is not None:
            raise
        names = []
    return charts_of(names or USUAL)


def _default_entity(offline: bool) -> str:
    if offline:
        return "ENTITY"
    import wandb

    try:
        entity = wandb.Api().default_entity
    except Exception as error:  # wandb does not wrap errors caused by the server's answer
        raise RunError(f"W&B did not return the default entity: {first_line(error)}") from error
    if not entity:
        raise RunError("the account has no default entity; set entity=TEAM")
    return str(entity)


def _save(workspace: Any, report: Any, request: DashboardRequest) -> None:
    """Saves workspace and report, overwriting earlier ones so that existing links stay valid."""
    workspace._internal_name, workspace._internal_id = _known_workspace(
        workspace, request.workspace
    )
    report.id = _known_report(report, request.report)
    for name, item in {"workspace": workspace, "report": report}.items():
        try:
            saved = item.save()
        except Exception as error:
            raise RunError(f"W&B did not accept the {name}: {first_line(error)}") from error
        console.print(f"{name}: {saved.url}", soft_wrap=True)


def _known_workspace(workspace: Any, address: str | None) -> tuple[str, str]:
    """Returns the workspace's name and ID on the server; the ID is "" if it does not exist yet."""
    ws = workspaces()
    # from_url() uses only the path and the nw parameter of the address.
    own = f"https://wandb.ai/{workspace.entity}/{workspace.project}?nw={NAME}"
    try:
        known = ws.Workspace.from_url(address or own)
    except Exception as error:  # wandb does not wrap errors caused by the server's answer
        if address is not None:
            raise RunError(f"workspace={address}: cannot be read ({error})") from error
        return f"nw-{NAME}-v", ""
    return str(known._internal_name), str(known._internal_id)


def _known_report(report: Any, address: str | None) -> str:
    """Returns the report's ID on the server; "" if it does not exist yet."""
    import wandb

    wr = reports()
    try:
        if address is None:
            known = wandb.Api().reports(f"{report.entity}/{report.project}", name=TITLE)
            address = next((str(one.url) for one in known), None)
        return cast(str, wr.Report.from_url(address).id) if address is not None else ""
    except Exception as error:
        if address is not None:
            raise RunError(f"report={address}: cannot be read ({error})") from error
        return ""
