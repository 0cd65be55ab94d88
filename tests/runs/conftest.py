from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.short_runs import PLAIN, SEVEN, go
from tests.support.trainings import run_of


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Path:
    """A run of four steps; not to be changed."""
    folder = tmp_path_factory.mktemp("original")
    go(*PLAIN, f"log_dir={folder / 'run'}")
    return run_of(folder, "run")


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """A run of seven steps that nothing disturbed; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    go(*SEVEN, f"log_dir={folder / 'run'}")
    return run_of(folder, "run")


@pytest.fixture
def run(original, tmp_path) -> Path:
    """A copy of the run of four steps, in a log folder of its own."""
    copy = tmp_path / "train" / original.parent.name / original.name
    shutil.copytree(original, copy)
    (tmp_path / "train" / "latest").symlink_to(copy)
    return copy
