from __future__ import annotations

from pathlib import Path

from ganforge.config.job_names import FILE


def group_of(run: Path, job: str | None = None) -> str | None:
    """Returns what the jobs of a sweep have in common, such as "sweep-2026-11-22-13-07-13".

    Args:
        run: a run folder.
        job: the folder that Hydra's sweeper gave the run; None outside of one.

    Returns:
        The name of the sweep; None for a run that is no job of one.
    """
    sweep = run.parent
    if job is None and not (sweep / FILE).is_file():
        return None
    return f"sweep-{sweep.parent.name}-{sweep.name}"
