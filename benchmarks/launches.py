"""Counts what a training step asks of a GPU: operations, synchronizations, collectives, memory.

    uv run python benchmarks/launches.py
    uv run python benchmarks/launches.py --commit COMMIT    # of another state of src/ and conf/

Runs on a machine without a GPU: tests/nullcuda stands in for CUDA below PyTorch. The counts are
those of a GPU, and the same on every machine; times are not measured. Steps 17 to 32 of each recipe
are counted, and with CUDA graphs steps 97 to 128, without scores, grids, checkpoints and logged
steps. An operation is a kernel launch, a call of cuBLAS or cuDNN, a fill or a copy on the device,
or the replay of a graph. A synchronization is a wait of the host for
the device. The peak is that of PyTorch's allocator, without workspaces of cuDNN.

Writes the counts into launches.csv, with their commit, and the table of the first and the last
commit into launches.md. tests/test_launches.py keeps some of the last counts from growing.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from gpu_recipes import RECIPES, STEPS_ONLY, UNLOGGED, Recipe

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from tests.nullcuda.machine import Machine  # noqa: E402

CSV, PAGE = HERE / "launches.csv", HERE / "launches.md"
STEPS = (16, 32)
# Lazy penalties are due every 16 updates, and recorded after three of them.
REPLAYED_STEPS = (96, 128)
GRAPHS = "trainer.cuda_graphs=true"
REPLAYED = {
    f"{name}, CUDA graphs": Recipe((*recipe.overrides, GRAPHS), recipe.images)
    for name, recipe in RECIPES.items()
}
DISTRIBUTED = {
    f"{name}, 2 GPUs": Recipe((*RECIPES[name].overrides, "trainer=ddp"), RECIPES[name].images)
    for name in ("dcgan digits 32", "wgan_gp digits 32")
}
TOTALS = ("operations", "synchronizations", "collectives", "collective_bytes")
COUNTS = ("launches", "blas", "conv", "dnn", "memset", "device_to_device", "graph_launches")
FIELDS = ("commit", "recipe", "images", *TOTALS, *COUNTS, "peak_mib")
Row = dict[str, str]


def main() -> None:
    """Measures, and writes the counts and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--commit", help="measure this commit, not the working tree")
    parser.add_argument("--only", default="", help="recipes whose name contains this")
    parser.add_argument("--table", action="store_true", help="only write the table")
    given = parser.parse_args()
    if not given.table:
        with checkout(given.commit) as source:
            replayed = {} if given.commit else REPLAYED  # earlier commits may not know graphs
            for name, recipe in (RECIPES | DISTRIBUTED | replayed).items():
                if given.only in name:
                    row = {"commit": named(given.commit), "recipe": name}
                    save(row | measure(recipe, source))
    print(write_page(read()))


@contextmanager
def checkout(commit: str | None) -> Iterator[Path]:
    """Yields a folder with src/ and conf/ of a commit; this checkout for None."""
    if commit is None:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        files = subprocess.run(
            ["git", "archive", commit, "src", "conf"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        subprocess.run(["tar", "--extract", "--directory", folder], input=files, check=True)
        yield Path(folder)


def named(commit: str | None) -> str:
    """Returns the short name of a commit; that of the working tree has a + if it was changed."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = commit is None and git("status", "--porcelain", "src", "conf")
    return git("rev-parse", "--short=7", commit or "HEAD") + ("+" if changed else "")


def measure(recipe: Recipe, source: Path) -> Row:
    """Returns the counts of a recipe; of several ranks, the largest."""
    devices = 2 if "trainer=ddp" in recipe.overrides else 1
    steps = REPLAYED_STEPS if GRAPHS in recipe.overrides else STEPS
    machine = Machine(devices, steps, source)
    with tempfile.TemporaryDirectory() as folder:
        overrides = [
            *([] if devices > 1 else ["trainer=gpu"]),
            *recipe.overrides,
            *STEPS_ONLY,
            UNLOGGED,
            f"trainer.max_steps={steps[1]}",
            f"run_dir={folder}/run",
        ]
        ranks = machine.count(overrides, cwd=Path(folder))
    most = {name: max(rank[name] for rank in ranks) for name in TOTALS}
    most |= {name: max(rank["counts"][name] for rank in ranks) for name in COUNTS}
    most |= {"images": recipe.images, "peak_mib": max(r["peak_bytes"] for r in ranks) / 2**20}
    return {name: f"{value:.10g}" for name, value in most.items()}


def read() -> list[Row]:
    """Returns all rows that were measured so far."""
    if not CSV.exists():
        return []
    with CSV.open(newline="") as file:
        return list(csv.DictReader(file))


def save(row: Row) -> None:
    """Adds a row to the file, in place of an earlier one of the same commit and recipe."""
    key = row["commit"], row["recipe"]
    rows = [old for old in read() if (old["commit"], old["recipe"]) != key]
    with CSV.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, row])
    print(row["recipe"], *(f"{name}={row[name]}" for name in TOTALS), row["peak_mib"], flush=True)


def write_page(rows: list[Row]) -> str:
    """Writes and returns the table of the first and the last commit."""
    commits = list(dict.fromkeys(row["commit"] for row in rows))
    first, last = commits[0], commits[-1]
    found = {(row["commit"], row["recipe"]): row for row in rows}
    lines = [
        "# Launches",
        "",
        f"{(__doc__ or '').split(chr(10) * 2)[2]}",
        "",
        f"Each cell is the count at {first} and at {last}." if len(commits) > 1 else f"At {first}.",
        "",
        "| recipe, bf16 | images a step | operations | of them launches | synchronizations "
        "| MB of collectives | peak MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in dict.fromkeys(row["recipe"] for row in rows):
        cells = [found[key] for key in ((c, name) for c in (first, last)) if key in found]
        lines.append(table_row(name, cells[:1] if first == last else cells))
    lines += ["", f"`uv run python benchmarks/launches.py`, torch {torch.__version__}."]
    PAGE.write_text("\n".join(lines) + "\n")
    return "\n".join(lines)


def table_row(name: str, rows: list[Row]) -> str:
    """Returns a line of the table, with the counts of one or two commits in each cell."""

    def cell(field: str, scale: float = 1, digits: int = 0) -> str:
        values = [f"{float(row[field]) / scale:,.{digits}f}" for row in rows]
        return " → ".join(values if len(set(values)) > 1 else values[:1])

    cells = [rows[-1]["images"], cell("operations"), cell("launches")]
    cells += [cell("synchronizations", digits=2), cell("collective_bytes", 1e6, 2)]
    return f"| {name} | " + " | ".join([*cells, cell("peak_mib")]) + " |"


if __name__ == "__main__":
    main()
