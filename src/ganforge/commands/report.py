"""The command ``report``: a self-contained HTML page that needs no server or network."""

from __future__ import annotations

import math
from pathlib import Path

from ganforge import atomic
from ganforge.compare.report import Comparison
from ganforge.config.requests import ReportRequest
from ganforge.console import console, setup_logging
from ganforge.errors import ConfigError, RunError
from ganforge.paths import check_file, typed_path
from ganforge.report.jobs import Sweep
from ganforge.report.run_page import run_page
from ganforge.report.sweep_page import sweep_page
from ganforge.report.tables import rank
from ganforge.runs.folder import RunFolder
from ganforge.runs.past import PastRun, common_folder, listed, named_paths

FILE = "report.html"
MIN_MB, MAX_MB = 0.5, 10_000.0
LEVEL = 0.05  # significance level, as in `ganforge compare`


def report(request: ReportRequest) -> Path:
    """Writes the HTML page of a run or a sweep.

    Only files of the runs are read: no model is built and nothing is measured.

    Args:
        request: the command as typed.

    Returns:
        Path of the page.

    Raises:
        ConfigError: if a value is invalid.
        RunError: if there is no run, or the page cannot be written.
    """
    setup_logging()
    _check(request)
    limit = int(request.max_mb * 1e6)
    folder, page = (
        _of_sweep(request, limit) if request.sweep is not None else _of_run(request, limit)
    )
    out = typed_path(request.out) if request.out is not None else folder / FILE
    try:
        atomic.write(out, page.encode())
    except OSError as error:
        raise RunError(
            f"cannot write {out} ({error.strerror or error}); out=FILE.html writes it elsewhere"
        ) from error
    console.print(f"written to {out} ({len(page.encode()) / 1e6:.1f} MB)", soft_wrap=True)
    return out


def _check(request: ReportRequest) -> None:
    if request.run is not None and request.sweep is not None:
        raise ConfigError("run and sweep exclude each other; legal: run=RUN or sweep=DIR")
    if request.max_mb > MAX_MB or math.isnan(request.max_mb):
        raise ConfigError(f"max_mb must be at most {MAX_MB:.0f}, got {request.max_mb}")
    if request.max_mb < MIN_MB:
        raise ConfigError(f"max_mb must be at least {MIN_MB}, got {request.max_mb}")
    if request.out is not None and typed_path(request.out).suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"out={request.out}: must be the path of an HTML file, such as {FILE}")
    if request.out is not None:
        check_file(typed_path(request.out), "out")
    if request.sweep is None and (request.by is not None or request.score is not None):
        key = "by" if request.by is not None else "score"
        raise ConfigError(f"{key} compares runs and is only legal with sweep=DIR")


def _of_run(request: ReportRequest, limit: int) -> tuple[Path, str]:
    folder = RunFolder.find(request.run or "latest", typed_path(request.log_dir)).path
    return folder, run_page(PastRun.read(folder), limit)


def _of_sweep(request: ReportRequest, limit: int) -> tuple[Path, str]:
    sweep = Sweep.read(named_paths(request.sweep, request.log_dir))
    comparison = Comparison.of(sweep.runs, listed(request.by), "final", LEVEL)
    ranking = rank(sweep.runs, request.score)
    folder = sweep.record.path if sweep.record else common_folder(sweep.folders)
    return folder, sweep_page(folder, sweep, comparison, ranking, limit)
