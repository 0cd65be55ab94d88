from __future__ import annotations

import math
from pathlib import Path

import pytest

from ganforge.loggers.facts import RunFacts
from ganforge.loggers.wandb.contents import allowed, summarized

FILES = [Path("config.yaml"), Path("provenance.json"), Path("code.diff"), Path("code-2.diff")]
VALUES = {
    "choices": {"model": "gan"},
    "provenance": {"code": {"commit": "c0ffee"}, "command": "x", "resumed": [{"code": {}}]},
}
FACTS = RunFacts(group=None, values=VALUES, files=FILES, commit="c0ffee", remote="https://host/a")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    monkeypatch.delenv("WANDB_DISABLE_CODE", raising=False)
    monkeypatch.delenv("WANDB_DISABLE_GIT", raising=False)


@pytest.mark.parametrize("value", ["", "false", "0"])
def test_all_is_sent_by_default(monkeypatch, value):
    monkeypatch.setenv("WANDB_DISABLE_CODE", value)
    assert allowed(FACTS) is FACTS


def test_code_is_removed(monkeypatch):
    monkeypatch.setenv("WANDB_DISABLE_CODE", "true")
    facts = allowed(FACTS)
    assert facts.files == FILES[:2]
    assert (facts.commit, facts.remote, facts.values) == ("c0ffee", FACTS.remote, VALUES)


def test_git_data_are_removed(monkeypatch):
    monkeypatch.setenv("WANDB_DISABLE_GIT", "1")
    facts = allowed(FACTS)
    assert (facts.files, facts.commit, facts.remote) == ([Path("config.yaml")], None, None)
    assert facts.values["provenance"] == {"command": "x", "resumed": [{}]}


SUMMARY = {
    "status": "completed",
    "step": 6,
    "metrics": {
        "fid": {"value": 12.0, "higher_is_better": False},
        "is": {"value": 2.0, "higher_is_better": True},
        "modes": {"value": 7.0, "higher_is_better": None},
    },
    "best": {"fid": {"name": "fid", "value": 10.0, "step": 4, "images_seen": 256}},
    "history": [
        {"step": 0, "images_seen": 0, "fid": 1.0, "is": 9.0},  # before training
        {"step": 2, "images_seen": 128, "fid": 11.0, "is": math.nan},
        {"step": 4, "images_seen": 256, "fid": 10.0, "is": 3.0, "modes": 8.0},
        {"step": 6, "images_seen": 384, "fid": 12.0, "is": 2.0, "modes": 7.0},
    ],
    "parameters": {"generator": 5, "discriminator": 6},
}


def test_each_score_has_its_best_value_and_the_monitored_one_its_step():
    assert summarized(SUMMARY) == {
        "status": "completed",
        "best/fid": 10.0,
        "best/is": 3.0,
        "best/step": 4,
        "best/images_seen": 256,
        "generator/parameters": 5,
        "discriminator/parameters": 6,
    }


def test_a_run_without_scores_has_a_status():
    assert summarized({"status": "failed", "error": "no"}) == {"status": "failed", "error": "no"}
