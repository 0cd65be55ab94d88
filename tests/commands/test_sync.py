from __future__ import annotations

import pytest

from ganforge.commands import sync as syncing
from ganforge.loggers.wandb import access as wandb_access
from ganforge.runs.lock import locked


@pytest.fixture
def account(monkeypatch):
    """An account, and a server that answers."""
    monkeypatch.setattr(wandb_access, "has_credentials", lambda: True)
    monkeypatch.setattr(wandb_access, "unreachable", lambda timeout: "")


@pytest.fixture
def sent(monkeypatch):
    """What is given to `wandb sync`, which marks it."""
    calls = []

    def send(parts):
        calls.append([part.name for part in parts])
        for part in parts:
            (file,) = part.glob("run-*.wandb")
            file.with_name(f"{file.name}.synced").touch()

    monkeypatch.setattr(syncing, "send", send)
    return calls


def recorded(folder, *parts: str, sent: bool = False):
    """A run folder with what its processes recorded offline."""
    (folder / "wandb").mkdir(parents=True)
    (folder / "composed.yaml").write_text("seed: 1\n")
    for part in parts:
        (folder / "wandb" / part).mkdir()
        (folder / "wandb" / part / "run-ab.wandb").touch()
        if sent:
            (folder / "wandb" / part / "run-ab.wandb.synced").touch()
    return folder


FIRST, SECOND = "offline-run-20261122_090000-ab", "offline-run-20261122_100000-ab"


def test_the_parts_of_a_run_are_sent_together_in_their_order(type_in, tmp_path, account, sent):
    recorded(tmp_path / "logs" / "a", SECOND, FIRST)
    recorded(tmp_path / "logs" / "b", FIRST, sent=True)
    recorded(tmp_path / "logs" / "c")  # recorded online, or not at all
    typed = type_in("sync")
    assert typed.code == 0, typed.err
    assert sent == [[FIRST, SECOND]]
    again = type_in("sync")
    assert again.code == 0
    assert again.out == "nothing to send\n"
    assert len(sent) == 1


def test_a_dry_run_asks_no_server(type_in, tmp_path, sent):
    recorded(tmp_path / "logs" / "a", FIRST)
    typed = type_in("sync", "dry_run=true")
    assert typed.code == 0, typed.err
    assert typed.out.startswith("would send ")
    assert typed.out.endswith(f"{FIRST}\n")
    assert sent == []


def test_a_running_run_is_skipped(type_in, tmp_path, account, sent):
    with locked(recorded(tmp_path / "logs" / "a", FIRST)):
        typed = type_in("sync")
    assert typed.code == 0, typed.err
    assert "skipped: " in typed.err
    assert sent == []


def test_runs_that_the_server_rejected_are_named(type_in, tmp_path, account, monkeypatch):
    monkeypatch.setattr(syncing, "send", lambda parts: None)
    run = recorded(tmp_path / "logs" / "a", FIRST)
    typed = type_in("sync", f"runs={run}")
    assert typed.code == 1
    assert f"1 runs were not sent completely:\n  {run}" in typed.err


def test_without_an_account_or_a_server_it_says_what_to_do(type_in, tmp_path, sent, monkeypatch):
    recorded(tmp_path / "logs" / "a", FIRST)
    monkeypatch.setattr(wandb_access, "has_credentials", lambda: False)
    typed = type_in("sync")
    assert (typed.code, typed.err) == (
        1,
        "ganforge: not logged in to W&B: run `wandb login` or set WANDB_API_KEY\n",
    )
    monkeypatch.setattr(wandb_access, "has_credentials", lambda: True)
    monkeypatch.setattr(wandb_access, "unreachable", lambda timeout: "it does not answer")
    assert "W&B cannot be reached: it does not answer" in type_in("sync").err
    assert sent == []


def test_wandb_itself_is_given_the_parts_whatever_mode_is_set(tmp_path, monkeypatch):
    called = {}
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(
        syncing.subprocess, "run", lambda c, env, check: called.update(c=c, env=env)
    )
    syncing.send([tmp_path / FIRST, tmp_path / SECOND])
    parts = [str(tmp_path / FIRST), str(tmp_path / SECOND)]
    # -P: no wandb.py of the current folder, which may be somebody's run.
    assert called["c"][1:] == ["-P", "-m", "wandb", "sync", *parts]
    assert called["env"]["WANDB_MODE"] == "online"
