"""Costs of the groups: training time, throughput and numbers of parameters."""

from __future__ import annotations

from ganforge.compare.cells import Table, cell
from ganforge.compare.groups import Group
from ganforge.compare.statistics import Spread, spread
from ganforge.runs.past import PastRun

MAX_SETTINGS = 4


def cost(group: Group, name: str) -> Spread:
    """Returns the spread of a summary's number: seconds, images_seen or images_per_second."""
    return spread([value for run in group.runs if (value := run.number(name)) is not None])


def parameters(group: Group, player: str) -> list[int]:
    """Returns the distinct network sizes of a group; only one unless settings were pooled."""
    counts = (run.summary.get("parameters", {}).get(player) for run in group.runs)
    return sorted({int(count) for count in counts if count is not None})


def device_of(run: PastRun) -> str:
    """Returns the device that a run was trained on, without the reason for its choice."""
    return str(run.summary.get("device", "unknown")).partition(" (no ")[0]


def cost_table(groups: list[Group]) -> Table:
    """Returns a table with a row for each group, with a device column if the devices differ."""
    names = ["group", "images seen", "seconds", "images/s"]
    names += ["generator parameters", "discriminator parameters"]
    rows = [_row(group) for group in groups]
    notes = ["Seconds of training, without evaluations and pictures."]
    if len({device_of(run) for group in groups for run in group.runs}) > 1:
        names.append("device")
        rows = [[*row, _devices(group)] for row, group in zip(rows, groups, strict=True)]
        notes.append("Devices differ, so seconds and images/s cannot be compared.")
    notes += [
        f"{group.label} pools runs that differ in {_some(group.pooled)} too."
        for group in groups
        if group.pooled
    ]
    return Table("Cost", names, rows, notes)


def _row(group: Group) -> list[str]:
    alike = len({device_of(run) for run in group.runs}) == 1
    timed = [cell(cost(group, name)) if alike else "-" for name in ("seconds", "images_per_second")]
    sizes = [_sizes(parameters(group, player)) for player in ("generator", "discriminator")]
    return [group.label, cell(cost(group, "images_seen"), 6), *timed, *sizes]


def _sizes(counts: list[int]) -> str:
    if not counts:
        return "-"
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def _devices(group: Group) -> str:
    return "; ".join(sorted({device_of(run) for run in group.runs})) or "-"


def _some(settings: list[str]) -> str:
    more = len(settings) - MAX_SETTINGS
    return ", ".join(settings[:MAX_SETTINGS]) + (f" and {more} more" if more > 0 else "")
