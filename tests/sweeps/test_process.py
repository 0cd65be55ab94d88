from __future__ import annotations

import signal
import sys

import pytest

from ganforge.sweeps.process import train_in_process


@pytest.fixture
def ending(tmp_path, monkeypatch):
    """Has a shell stand in for Python: a training does what its last override says."""
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\n[ "$1 $2 $3 $4" = "-P -m ganforge train" ] && eval "$5"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    # A suite in the background of a shell is deaf to Ctrl-C, and so would be what it starts.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize("code", [0, 1, 2])
def test_an_exit_code_comes_back(ending, code):
    assert train_in_process([f"exit {code}"], []) == code


def test_a_process_that_was_killed_has_failed(ending):
    assert train_in_process(["kill -KILL $$"], []) == 137


@pytest.mark.parametrize(("name", "code"), [("INT", 130), ("TERM", 143), ("USR1", 138)])
@pytest.mark.parametrize("how", ["kill -{name} $$", "exit {code}"])
def test_an_interrupted_process_ends_the_sweep(ending, how, name, code):
    """Its first signal, before it listens, and a second one end a run by the signal itself."""
    with pytest.raises(KeyboardInterrupt, match=f"interrupted by SIG{name}") as ended:
        train_in_process([how.format(name=name, code=code)], [])
    assert ended.value.__cause__.exit_code == code
