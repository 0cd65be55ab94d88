from __future__ import annotations

import pytest

from ganforge.errors import RunError
from ganforge.runs.past import listed, named_paths


def test_lists_are_typed_in_three_ways(tmp_path):
    assert listed("a, b") == listed(["a", "b"]) == ["a", "b"]
    assert listed(None) == []
    job = tmp_path / "0-loss=hinge,seed=1"
    job.mkdir()
    assert listed(str(job)) == [str(job)]


def test_nothing_named_is_all():
    assert named_paths(None, "logs") == ["logs"]
    assert named_paths("a,b", "logs") == ["a", "b"]


def test_the_latest_is_the_newest_sweep(tmp_path):
    for name in ("2026-11-21/23-00-00", "2026-11-22/01-00-00", "2026-11-22/00-59-59"):
        (tmp_path / "multirun" / name).mkdir(parents=True)
    (found,) = named_paths("latest", str(tmp_path))
    assert found.endswith("2026-11-22/01-00-00")


def test_no_sweep_yet_is_said(tmp_path):
    with pytest.raises(RunError, match="there is no sweep under"):
        named_paths("latest", str(tmp_path))
