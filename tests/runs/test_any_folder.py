"""Whatever lies in a folder: removal and a run's start never touch what no run wrote."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganforge.commands.runs import manage_runs
from ganforge.errors import GanforgeError
from ganforge.runs.contents import SIGNS
from ganforge.runs.folder import RunFolder
from ganforge.runs.lock import locked
from tests.commands.listings import composed
from tests.runs.test_contents import FOREIGN, OWN
from tests.support.properties import deterministic

PLACES = ["", "a", "a/run", "a/run/deep", "b"]
MADE = [name for name in OWN if not name.startswith((".lock", "wandb/"))] + [
    "checkpoints/last.ckpt"
]
KINDS = ["file", "file", "file", "link", "loop", "fifo"]
ENTRIES = st.tuples(
    st.sampled_from(PLACES), st.sampled_from([*MADE * 3, *FOREIGN]), st.sampled_from(KINDS)
)
RUNS = st.sets(st.sampled_from(PLACES[1:]), max_size=3).map(
    lambda places: [
        (p, n, "file") for p in sorted(places) for n in ("composed.yaml", "summary.json")
    ]
)
WORLDS = st.tuples(RUNS, st.lists(ENTRIES, max_size=5)).map(lambda parts: parts[0] + parts[1])
WHERE = st.sampled_from(["logs", "logs/*", "logs/a", "logs/a/run", "logs/b", "logs/linked"])
STATUS = st.sampled_from(["completed", "failed", "running", ""])


def made(root: Path, world: list[tuple[str, str, str]], status: str) -> None:
    outside = root / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    (root / "logs").mkdir()
    for place, name, kind in world:
        path = root / "logs" / place / name
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(path) or path.parent.resolve().is_relative_to(outside):
                continue
            if kind == "file":
                path.write_text(json.dumps({"status": status}))
            elif kind == "fifo":
                os.mkfifo(path)
            else:
                path.symlink_to(outside if kind == "link" else path.parent)
    (root / "logs" / "linked").symlink_to(root / "logs" / "b")


def tree(root: Path) -> dict[str, str]:
    """Returns what every path beneath is, without following links."""
    found = {}
    for place, below, names in os.walk(root):
        for path in (Path(place, name) for name in [*below, *names]):
            kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "other"
            text = path.read_text() if kind == "other" and path.is_file() else ""
            found[str(path.relative_to(root))] = f"{kind} {text}"
    return found


def is_theirs(name: str, before: dict[str, str]) -> bool:
    """Whether a removed path was a run's own, by an account of its own of what a run writes."""
    for depth in range(1, len(Path(name).parts)):
        run, inner = Path(*Path(name).parts[:depth]), Path(*Path(name).parts[depth:])
        signs = [sign for sign in SIGNS if before.get(str(run / sign), "").startswith("other")]
        own = any(str(inner) == known or known.startswith(f"{inner}/") for known in MADE)
        linked = before[name].startswith("link") and inner.parts[0] in {
            Path(m).parts[0] for m in MADE
        }
        if str(run / "composed.yaml") in before and signs and (own or linked):
            return True
    return before[name].startswith("folder")  # emptied above; its contents are judged themselves


@contextlib.contextmanager
def world(entries: list[tuple[str, str, str]], status: str) -> Iterator[Path]:
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve()
        made(root, entries, status)
        os.chdir(root)
        try:
            yield root
        finally:
            os.chdir(here)


@settings(deterministic, max_examples=40)
@given(WORLDS, WHERE, st.booleans(), STATUS)
def test_removal_takes_only_what_runs_wrote(entries, where, only, status):
    with world(entries, status) as root:
        before = tree(root)
        with contextlib.suppress(GanforgeError):
            manage_runs(
                composed(["remove=true", f"runs={where}", f"checkpoints_only={only}".lower()])
            )
        after = tree(root)
        gone = before.keys() - after.keys()
        assert {name for name in gone if not is_theirs(name, before)} == set()
        assert {n: after[n] for n in after if n in before} == {
            n: before[n] for n in before if n in after
        }
        assert not any(name.startswith("outside") for name in gone)
        assert after.keys() <= before.keys()


@settings(deterministic, max_examples=40)
@given(WORLDS, st.sampled_from(["logs", "logs/a", "logs/a/run", "logs/b"]), STATUS)
def test_a_run_takes_over_nothing_else(entries, where, status):
    with world(entries, status) as root:
        before = tree(root)
        try:
            folder = RunFolder.new(root / "new", "gan", 0, str(root / where))
            with locked(folder.path):
                folder.clear()
        except GanforgeError:
            assert {n: t for n, t in tree(root).items() if not n.startswith("new")} == before
            return
        gone = before.keys() - tree(root).keys()
        own = {str(Path(where) / name) for name in MADE}
        assert all(n in own or before[n].startswith("folder") for n in gone)
        assert status != "completed" or str(Path(where) / "summary.json") not in before


@pytest.mark.parametrize("place", ["a/run", "a/run/deep"])
def test_a_live_lock_at_any_depth_is_respected(place):
    entries = [(p, name, "file") for p in ("a/run", place) for name in ("composed.yaml", *SIGNS)]
    with world(entries, "failed") as root, locked(root / "logs" / place):
        before = tree(root)
        with contextlib.suppress(GanforgeError):
            manage_runs(composed(["remove=true", "runs=logs"]))
        assert tree(root) == before
