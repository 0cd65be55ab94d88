from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from ganforge.compare.files import write
from ganforge.compare.report import Comparison
from ganforge.config.requests import CompareRequest
from ganforge.console import console, setup_logging
from ganforge.errors import ConfigError, RunError
from ganforge.paths import check_folder, typed_path
from ganforge.runs.past import PastRun, common_folder, find_runs, listed, named_paths

log = logging.getLogger("ganforge")

VALUES = ("final", "best")


def compare_runs(request: CompareRequest) -> Comparison:
    """Groups runs that differ only in seed, prints their scores and writes comparison.*.

    Only run folders are read: no model is built and nothing is measured again. Values with
    different protocols or data get separate columns. No difference is claimed from a single seed.

    Args:
        request: the command as typed.

    Returns:
        The comparison.

    Raises:
        ConfigError: if a value is invalid.
        RunError: if there is no run.
    """
    setup_logging()
    if request.value not in VALUES:
        raise ConfigError(f"value must be one of {', '.join(VALUES)}; got {request.value!r}")
    if not 0 < request.level < 1:
        raise ConfigError(f"level must be between 0 and 1, got {request.level}")
    if request.out is not None:
        check_folder(typed_path(request.out), "out")
    folders = find_runs(named_paths(request.runs, request.log_dir))
    comparison = Comparison.of(
        list(_read(folders)), listed(request.by), request.value, request.level
    )
    out = typed_path(request.out) if request.out is not None else common_folder(folders)
    written = write(comparison, out)
    for table in comparison.summary():
        console.print(table.rich())
    for path in written:
        console.print(f"written to {path}", soft_wrap=True)
    return comparison


def _read(folders: list[Path]) -> Iterator[PastRun]:
    for folder in folders:
        try:
            yield PastRun.read(folder)
        except RunError as error:  # one damaged file must not hide hundreds of runs
            log.warning("skipped: %s", error)
