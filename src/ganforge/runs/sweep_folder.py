from __future__ import annotations

from pathlib import Path

from ganforge.config.job_names import FILE


def group_of(run: Path, job: str | None = None) -> str | None:
    """Returns the group name shared by a sweep's jobs, such as "sweep-2026-11-22-13-07-13".

    Args:
        run: a run folder.
        job: the folder assigned by Hydra's sweeper; None outside of a sweep.

    Returns:
        The name of the sweep; None if the run is not a job of a sweep.
    """
    sweep = run.parent
    if job is None and not (sweep / FILE).is_file():
        return None
    return f"sweep-{sweep.parent.name}-{sweep.name}"
