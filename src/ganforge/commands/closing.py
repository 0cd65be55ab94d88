"""Output at the end of training."""

from __future__ import annotations

import shlex
from typing import Any

from ganforge.commands.header import print_lines
from ganforge.plain_text import one_line
from ganforge.runs.folder import RunFolder

SHOWN = 6  # maximum scores in the line


def print_results(folder: RunFolder, alone: bool) -> None:
    """Prints the scores of a completed run, its last samples and commands to run next.

    Args:
        folder: folder of the run.
        alone: whether the run is not a job of a sweep; only then the commands are printed.
    """
    lines = {}
    if scores := describe_scores(folder.read_summary()):
        lines["scores"] = scores
    if pictures := sorted((folder.path / "samples").glob("step_*.png")):
        lines["samples"] = str(pictures[-1])
    if alone:
        place = shlex.quote(one_line(folder.path))
        lines["next"] = f"ganforge sample run={place}"
        lines["or"] = f"ganforge report run={place}"
    print_lines(lines)


def describe_scores(summary: dict[str, Any]) -> str:
    """Returns ``fid_classifier 8.51 at step 2000 (best 8.22 at step 1800), is_classifier 7.9``.

    Args:
        summary: content of summary.json. Scores without a value are left out.
    """
    metrics, best = summary.get("metrics") or {}, summary.get("best") or {}
    texts = []
    for name, final in metrics.items():
        if final.get("value") is None:
            continue
        text = f"{name} {final['value']:.4g}"
        text += f" at step {final['step']}" if "step" in final else ""  # baselines have no step
        reached = best.get(name) or {}
        if reached.get("value") not in (None, final["value"]):
            text += f" (best {reached['value']:.4g} at step {reached['step']})"
        texts.append(text)
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
