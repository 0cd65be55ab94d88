"""The results of a check on a GPU as a page in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_items.journal import Facts

# Columns of each item's table, by name of the fact.
COLUMNS = {
    "resume": {"bit_equal": "equal bits", "largest": "largest difference", "off": "share off"},
    "replay": {"bit_equal": "equal bits", "largest": "largest difference", "off": "share off"},
    "equal": {"largest": "largest difference", "scale": "largest value"},
    "speed": {
        "images": "images a step",
        "ms": "ms a step",
        "least_ms": "least",
        "images_per_s": "images/s",
        "s_per_kimg": "s/kimg",
        "peak_mib": "peak MiB",
        "checkpoint_mib": "checkpoint MiB",
    },
    "byhand": {"ms": "ms a step", "images_per_s": "images/s"},
    "profile": {"kernels": "kernels a step", "busy": "share of time busy", "ms": "ms a step"},
    "judge": {"images_per_s": "images/s", "score_s": "seconds"},
}
MEANING = {
    "correct": "Trained, resumed, finite weights; by precision.",
    "resume": "Two halves against one piece. Deterministic runs must have equal bits; where a "
    "setting changes, at most 5 % of the weights may differ by more than 2e-3.",
    "replay": "Deterministic runs with CUDA graphs against those without: equal bits.",
    "equal": "Images of the GPU against those of the CPU, for the same weights and draws, without "
    "TF32: the largest difference must be at most 1e-4 of the largest value.",
    "speed": "Whole trainings: medians over windows of 16 steps.",
    "byhand": "A loop of the same networks without data, augmentation, average, log and checks.",
    "profile": "With the profiler, which slows the host down.",
    "judge": "Random weights and features.",
    "graphs": "Milliseconds per step.",
    "variants": "Milliseconds per step; one thing is changed at a time.",
    "compiled": "Milliseconds per step; updates with a penalty on a gradient run uncompiled.",
}


def page(rows: Sequence[Facts], command: str) -> str:
    """Returns the page.

    Args:
        rows: the results.
        command: the command that made them.
    """
    machine = next(row for row in rows if row["item"] == "machine")
    parts = ["# On a GPU", _machine(machine), verdict(rows)]
    for item, meaning in MEANING.items():
        found = [row for row in rows if row["item"] == item]
        if found:
            table = TABLES.get(item, _listed)(found)
            parts.append(f"## {item.capitalize()}\n\n{meaning}\n\n{table}")
    parts += [_overhead(rows), _longest(rows), _faults(rows), f"`{command}`"]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(rows: Sequence[Facts]) -> str:
    """Returns how many measurements of each item there are, and how many checks passed."""
    lines = ["| item | measured | passed | failed | not measured |", "|---|---:|---:|---:|---:|"]
    for item in MEANING:
        found = [row for row in rows if row["item"] == item]
        if not found:
            continue
        checked = [row for row in found if "passed" in row]
        passed = sum(bool(row["passed"]) for row in checked)
        failed = sum("error" in row for row in found) + len(checked) - passed
        absent = sum("left_out" in row for row in found)
        shown = str(passed) if checked else ""
        lines.append(f"| {item} | {len(found) - absent} | {shown} | {failed} | {absent} |")
    return "\n".join(lines)


def _machine(row: Facts) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in row.items() if name != "item")
    text = f"Measured on {facts.removeprefix('name ')}."
    if "(null)" in row["name"]:
        text += " **A null GPU computes nothing: values and times are without meaning.**"
    return text


def _cell(row: Facts, fact: str) -> str:
    if "error" in row:
        return "failed"
    if "left_out" in row:
        return "-"
    value = row.get(fact, "")
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if value == "":
        return ""
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"


def _listed(rows: Sequence[Facts]) -> str:
    """Returns a table with a line for each measurement."""
    columns = COLUMNS[rows[0]["item"]]
    checks = any("passed" in row for row in rows)
    heads = ["", *(["passed"] if checks else []), *columns.values()]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for row in rows:
        cells = [_cell(row, fact) for fact in [*(["passed"] if checks else []), *columns]]
        lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _by_precision(rows: Sequence[Facts]) -> str:
    """Returns a table of models by precision."""
    return _crossed([(*row["name"].split(" "), _cell(row, "passed")) for row in rows])


def _by_change(rows: Sequence[Facts]) -> str:
    """Returns a table of changes by recipe."""
    pairs = [(row["name"].split(": "), _cell(row, "ms")) for row in rows]
    return _crossed([(change, recipe, cell) for (recipe, change), cell in pairs])


def _crossed(cells: Sequence[Sequence[str]]) -> str:
    """Returns a table of (line, column, cell)."""
    columns = list(dict.fromkeys(column for _, column, _ in cells))
    found = {(line, column): cell for line, column, cell in cells}
    lines = ["| | " + " | ".join(columns) + " |", "|---" + "|---:" * len(columns) + "|"]
    for line in dict.fromkeys(line for line, _, _ in cells):
        values = [found.get((line, column), "") for column in columns]
        lines.append(f"| {line} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def _overhead(rows: Sequence[Facts]) -> str:
    """Returns the engine's time over that of the loop by hand, where both were measured."""
    times = {(row["item"], row["name"]): row["ms"] for row in rows if "ms" in row}
    lines = [
        f"- {name}: {ms / times['byhand', f'{name}: {mode}']:.2f} of the {mode} loop"
        for (item, name), ms in times.items()
        if item == "speed"
        for mode in ("eager", "graph", "compiled")
        if ("byhand", f"{name}: {mode}") in times
    ]
    if not lines:
        return ""
    return "\n".join(["Time of a step of the engine, which does more than the loop:", "", *lines])


def _longest(rows: Sequence[Facts]) -> str:
    """Returns the kernels that take longest, for each recipe that was profiled."""
    blocks = []
    for row in rows:
        if "longest_ms" in row:
            lines = [f"{ms:10.4f}  {name}" for name, ms in row["longest_ms"].items()]
            text = "\n".join(lines)
            blocks.append(f"Milliseconds per step of {row['name']}:\n\n```\n{text}\n```")
    return "\n\n".join(blocks)


def _faults(rows: Sequence[Facts]) -> str:
    """Returns the errors, and why measurements were left out."""
    lines = [f"- {row['item']}, {row['name']}: {row['error']}" for row in rows if "error" in row]
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if "left_out" in row:
            reasons.setdefault((row["item"], row["left_out"]), []).append(row["name"])
    for (item, reason), names in reasons.items():
        lines.append(f"- {item}, not measured: {reason} ({', '.join(names)})")
    return "\n".join(["## Failed and not measured", "", *lines]) if lines else ""


TABLES = {
    "correct": _by_precision,
    "graphs": _by_change,
    "variants": _by_change,
    "compiled": _by_change,
}
