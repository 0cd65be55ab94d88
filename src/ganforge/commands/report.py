"""The command ``report``: a self-contained HTML page that needs no server or network."""

from __future__ import annotations

import math
from pathlib import Path

from ganforge import atomic
from ganforge.compare.report import Comparison
from ganforge.config.schemas import ReportSchema
from ganforge.console import console, setup_logging
from ganforge.errors import ConfigError, RunError
from ganforge.paths import check_file, typed_path
from ganforge.report.jobs import Sweep
from ganforge.report.ranking import rank
from ganforge.report.run_page import run_page
from ganforge.report.sweep_page import sweep_page
from ganforge.runs.folder import RunFolder
from ganforge.runs.past import PastRun, common_folder, listed, named_paths

FILE = "report.html"
MIN_MB, MAX_MB = 0.5, 10_000.0
LEVEL = 0.05  # significance level, as in `ganforge compare`


def report(cfg: ReportSchema) -> Path:
    """Writes the HTML page of a run or a sweep.

    Only files of the runs are read: no model is built and nothing is measured.

    Args:
        cfg: composed from conf/report.yaml.

    Returns:
        Path of the page.

    Raises:
        ConfigError: if a value is invalid.
        RunError: if there is no run, or the page cannot be written.
    """
    setup_logging()
    _check(cfg)
    limit = int(cfg.max_mb * 1e6)
    folder, page = _of_sweep(cfg, limit) if cfg.sweep is not None else _of_run(cfg, limit)
    out = typed_path(cfg.out) if cfg.out is not None else folder / FILE
    try:
        atomic.write(out, page.encode())
    except OSError as error:
        raise RunError(
            f"cannot write {out} ({error.strerror or error}); out=FILE.html writes it elsewhere"
        ) from error
    console.print(f"written to {out} ({len(page.encode()) / 1e6:.1f} MB)", soft_wrap=True)
    return out


def _check(cfg: ReportSchema) -> None:
    if cfg.run is not None and cfg.sweep is not None:
        raise ConfigError("run and sweep exclude each other; legal: run=RUN or sweep=DIR")
    if cfg.max_mb > MAX_MB or math.isnan(cfg.max_mb):
        raise ConfigError(f"max_mb must be at most {MAX_MB:.0f}, got {cfg.max_mb}")
    if cfg.max_mb < MIN_MB:
        raise ConfigError(f"max_mb must be at least {MIN_MB}, got {cfg.max_mb}")
    if cfg.out is not None and typed_path(cfg.out).suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"out={cfg.out}: must be the path of an HTML file, such as {FILE}")
    if cfg.out is not None:
        check_file(typed_path(cfg.out), "out")
    if cfg.sweep is None and (cfg.by is not None or cfg.score is not None):
        key = "by" if cfg.by is not None else "score"
        raise ConfigError(f"{key} compares runs and is only legal with sweep=DIR")


def _of_run(cfg: ReportSchema, limit: int) -> tuple[Path, str]:
    folder = RunFolder.find(cfg.run or "latest", typed_path(cfg.log_dir)).path
    return folder, run_page(PastRun.read(folder), limit)


def _of_sweep(cfg: ReportSchema, limit: int) -> tuple[Path, str]:
    sweep = Sweep.read(named_paths(cfg.sweep, cfg.log_dir))
    comparison = Comparison.of(sweep.runs, listed(cfg.by), "final", LEVEL)
    ranking = rank(sweep.runs, cfg.score)
    folder = sweep.record.path if sweep.record else common_folder(sweep.folders)
    return folder, sweep_page(folder, sweep, comparison, ranking, limit)
