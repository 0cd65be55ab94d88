"""A run that was killed after its last checkpoint but before its end can still come to its end."""

from __future__ import annotations

import pytest

from ganforge.errors import RunError
from ganforge.runs.folder import RunFolder
from tests.support.short_runs import go, summary, unfinished


def test_it_repeats_its_last_stretch(run):
    unfinished(run)
    go(f"resume={run}")
    assert (summary(run)["status"], summary(run)["step"]) == ("completed", 4)


def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(run):
    unfinished(run)
    (run / "checkpoints" / "last.ckpt").write_bytes(b"damaged")
    go(f"resume={run}")
    assert summary(run)["step"] == 4
    RunFolder(run).checkpoint("last")


def test_a_completed_run_has_nothing_left_to_do(run):
    with pytest.raises(RunError, match="already at step 4"):
        go(f"resume={run}")
