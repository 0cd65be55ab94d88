"""Runs that an earlier version made, before packages exported names, load and go on.

tests/frozen holds them as they were written, but for their place: a GAN, a conditional one, a
style-based one, a translation and a sweep; and what that version drew from them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge.runs.sweep_record import SweepRecord

FROZEN = Path(__file__).parents[1] / "frozen"
RUNS = {"gan": "gan", "conditional": "conditional", "style": "style", "sweep": "sweep/0-hinge"}
SCORED = ["metrics=[fid]", "n=16"]
SMALL_FEATURES = "features._target_=tests.support.small_features.SmallFactory"  # nothing to train


@pytest.fixture
def frozen(tmp_path) -> Path:
    """A copy of the runs, in another place than they were made in."""
    return Path(shutil.copytree(FROZEN, tmp_path / "moved"))


def assert_alike(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1  # machines round differently


@pytest.mark.parametrize("name", RUNS)
def test_they_sample_evaluate_and_resume(name, frozen, type_in, tmp_path):
    run = frozen / RUNS[name]
    assert "ganforge.models." in (run / "config.yaml").read_text()
    typed = type_in("sample", f"run={run}", "n=6", "seed=3", "out=drawn.npz")
    assert typed.code == 0, typed.err
    with np.load(tmp_path / "drawn.npz") as ours, np.load(FROZEN / f"expected/{name}.npz") as drawn:
        assert_alike(ours["images"], drawn["images"])
    features = SMALL_FEATURES if name == "conditional" else "features=classifier"
    typed = type_in("evaluate", f"run={run}", *SCORED, features)
    assert typed.code == 0, typed.err
    typed = type_in("train", f"resume={run}", "trainer.max_steps=6")
    assert typed.code == 0, typed.err
    assert json.loads((run / "summary.json").read_text())["step"] == 6


def test_a_translation_translates_evaluates_and_resumes(frozen, type_in, tmp_path):
    run = frozen / "translation"
    given = FROZEN / "expected" / "input.png"
    assert type_in("translate", f"run={run}", f"input={given}", "out=made").code == 0
    ours, theirs = tmp_path / "made" / "input.png", FROZEN / "expected" / "translation.png"
    assert_alike(*(np.asarray(Image.open(path)) for path in (ours, theirs)))
    assert type_in("evaluate", f"run={run}", "n=16").code == 0
    typed = type_in("train", f"resume={run}", "trainer.max_steps=6")
    assert typed.code == 0, typed.err
    assert json.loads((run / "summary.json").read_text())["step"] == 6


def test_a_sweep_trains_the_job_that_is_missing(frozen, type_in):
    shutil.rmtree(frozen / "sweep" / "1-wasserstein")
    record = SweepRecord.read(frozen / "sweep")
    record.status, record.jobs[1].status = "interrupted", "pending"
    record.write()
    typed = type_in("train", "-m", f"resume={frozen / 'sweep'}")
    assert typed.code == 0, typed.err
    made = json.loads((frozen / "sweep" / "1-wasserstein" / "summary.json").read_text())
    assert (made["status"], made["step"]) == ("completed", 4)


def test_they_are_compared_and_listed(frozen, type_in):
    typed = type_in("compare", f"runs={frozen}")
    assert typed.code == 0, typed.err
    assert "wasserstein" in typed.out
    assert type_in("runs", f"runs={frozen}").code == 0
