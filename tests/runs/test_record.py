from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from ganforge.errors import ConfigError, RunError
from ganforge.runs.folder import RunFolder
from ganforge.runs.record import assert_own, differences, listed
from tests.support.short_runs import PLAIN, go, runs, summary, unfinished


def changes(run: Path) -> list[str]:
    path = run / "changes.json"
    return json.loads(path.read_text()) if path.exists() else []


def test_differences_are_named_by_key_with_both_values():
    ours = {"seed": 1, "loss": {"a": 1, "b": 2}, "regularizer": {}, "betas": [0, 1]}
    theirs = {"seed": 1, "loss": {"a": 1, "b": 3}, "regularizer": {"r1": {"weight": 2.0}}}
    found = differences(ours, theirs)
    assert found == {
        "betas": ([0, 1], "absent"),
        "loss.b": (2, 3),
        "regularizer": ({}, "absent"),
        "regularizer.r1.weight": ("absent", 2.0),
    }
    assert listed({"loss.b": (2, 3)}) == "loss.b is 2 there and 3 here"
    many = listed({f"k{i}": (i, -i) for i in range(9)})
    assert many.endswith("k4 is 4 there and -4 here and 4 more")


def test_a_checkpoint_contains_the_configuration_of_its_run(run):
    kept = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["config"]
    assert kept["seed"] == 0
    assert kept["network"]["generator"]["width"] == 4
    assert kept["data"]["batch_size"] == 8
    assert not {"trainer", "logger", "callbacks", "log_dir", "run_dir"} & set(kept)


def test_a_checkpoint_of_another_run_is_refused_with_the_difference(run, tmp_path):
    other = ["loss=minimax", "optimizer.generator.lr=0.5"]
    go(*PLAIN, *other, f"log_dir={tmp_path / 'other'}")
    (theirs,) = runs(tmp_path / "other")
    last = run / "checkpoints" / "last.ckpt"
    shutil.copy(theirs / "checkpoints" / "last.ckpt", last)
    unfinished(run)  # previous.ckpt is the run's own, but that is for the user to say
    before = (run / "composed.yaml").read_text()
    with pytest.raises(ConfigError) as caught:
        go(f"resume={run}", "trainer.max_steps=6")
    assert str(caught.value).startswith(f"{last}: is a checkpoint of another configuration: ")
    assert "loss._target_ is ganforge.losses.MinimaxLoss there and" in str(caught.value)
    assert "optimizer.generator.lr is 0.5 there and 0.001 here" in str(caught.value)
    assert (run / "composed.yaml").read_text() == before
    go(f"resume={run / 'checkpoints' / 'previous.ckpt'}", "trainer.max_steps=6")


def test_what_was_typed_at_a_resume_may_differ_then_and_later(run):
    go(f"resume={run}", "trainer.max_steps=5", "optimizer.generator.lr=0.5")
    assert changes(run) == ["optimizer.generator.lr"]
    earlier = run / "checkpoints" / "previous.ckpt"  # of the rate before
    assert torch.load(earlier, weights_only=True)["progress"]["iteration"] == 4
    go(f"resume={earlier}", "trainer.max_steps=6")
    assert summary(run)["step"] == 6
    go(f"resume={run}", "trainer.max_steps=7", "optimizer.generator.betas=[0.1,0.2]")
    assert changes(run) == ["optimizer.generator.betas", "optimizer.generator.lr"]


def test_a_resume_without_changes_notes_none(run):
    go(f"resume={run}", "trainer.max_steps=5", "logger=csv", "model=projection")
    assert changes(run) == []


def test_a_configuration_edited_by_hand_is_refused(run):
    text = (run / "composed.yaml").read_text()
    assert text.count("seed: 0\n") == 1
    (run / "composed.yaml").write_text(text.replace("seed: 0\n", "seed: 1\n"))
    with pytest.raises(ConfigError, match=r"another configuration: seed is 0 there and 1 here"):
        go(f"resume={run}", "trainer.max_steps=6")


def test_another_architecture_is_reported_by_its_keys(run):
    with pytest.raises(RunError, match=r"network\.generator\.width is 4 there and 8 here"):
        go(f"resume={run}", "network.generator.width=8", "trainer.max_steps=6")


def test_a_checkpoint_from_before_configurations_were_kept_passes(run):
    cfg = OmegaConf.load(run / "composed.yaml")
    assert_own({}, cfg, RunFolder(run), run / "checkpoints" / "last.ckpt")


def test_a_kill_while_the_configuration_is_written_leaves_the_old_one(run, monkeypatch):
    before = (run / "composed.yaml").read_text()

    def torn(path: Path, data: bytes, durable: bool = True) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr("ganforge.atomic.write", torn)
    with pytest.raises(RuntimeError, match="killed"):
        go(f"resume={run}", "trainer.max_steps=6")
    assert (run / "composed.yaml").read_text() == before


# ---------------------------------------------------------------------- another place


def test_a_moved_run_can_be_resumed(whole, tmp_path, monkeypatch):
    """Outputs elsewhere, the run alone elsewhere, the command from elsewhere."""
    monkeypatch.chdir(tmp_path)
    go(*PLAIN, "log_dir=logs")
    (run,) = runs(Path("logs"))
    unfinished(run)
    Path("moved").mkdir()
    shutil.move("logs", "moved/logs")
    monkeypatch.chdir("moved")
    go("resume=latest", "trainer.max_steps=5")
    (run,) = runs(Path("logs"))
    monkeypatch.chdir("/")
    alone = shutil.move(tmp_path / "moved" / run, tmp_path / "alone")
    go(f"resume={alone}", "trainer.max_steps=7")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "moved"]
    assert runs(tmp_path / "moved" / "logs") == []
    added = {"changes.json", "workspace.diff"}  # from /, this test is code of the user's own
    names, expected = ({p.name for p in folder.iterdir()} - added for folder in (alone, whole))
    assert names == expected
    for kind in ("last", "previous"):
        paths = [path / "checkpoints" / f"{kind}.ckpt" for path in (alone, whole)]
        ours, theirs = (torch.load(path, weights_only=True)["state_dict"] for path in paths)
        if kind == "last":
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    text = "".join(path.read_text() for path in alone.glob("*.*") if path.suffix != ".csv")
    assert str(tmp_path / "moved") not in text


def test_notes_are_stored_without_secrets(tmp_path):
    go(*PLAIN, f"log_dir={tmp_path}", "notes='https://me:T0PSECRET@host ok'")
    (run,) = (tmp_path / "train").glob("20*/*")
    stored = [*run.glob("*.yaml"), *run.glob("*.json"), *run.glob("*.csv")]  # no diff of this file
    assert len(stored) > 4
    assert all("T0PSECRET" not in path.read_text() for path in stored)
    assert OmegaConf.load(run / "config.yaml").notes == "https://host ok"
