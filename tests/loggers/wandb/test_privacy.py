from __future__ import annotations

from pathlib import Path

import pytest

from ganforge.loggers.facts import RunFacts
from ganforge.loggers.wandb.privacy import allowed

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


def test_code_is_kept_back(monkeypatch):
    monkeypatch.setenv("WANDB_DISABLE_CODE", "true")
    facts = allowed(FACTS)
    assert facts.files == FILES[:2]
    assert (facts.commit, facts.remote, facts.values) == ("c0ffee", FACTS.remote, VALUES)


def test_git_is_kept_back(monkeypatch):
    monkeypatch.setenv("WANDB_DISABLE_GIT", "1")
    facts = allowed(FACTS)
    assert (facts.files, facts.commit, facts.remote) == ([Path("config.yaml")], None, None)
    assert facts.values["provenance"] == {"command": "x", "resumed": [{}]}
