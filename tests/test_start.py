from __future__ import annotations

import gc
import io
import sys

import pytest

from ganforge import cli, start


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("train", ["model=gan"], "ganforge train is starting\n"),
        (None, ["train", "-m", "seed=1,2"], "ganforge train is starting\n"),
        (None, ["sample", "run=latest"], "ganforge sample is starting\n"),
        (None, ["train", "--help"], ""),
        (None, ["train", "--cfg", "job"], ""),
        (None, ["train", "-sc", "install=bash"], ""),
        (None, ["compare"], ""),
        (None, ["--version"], ""),
        (None, [], ""),
    ],
)
def test_slow_commands_say_at_once_that_they_start(monkeypatch, verb, arguments, said):
    monkeypatch.setattr(sys, "stderr", Terminal())
    start._print_start(verb, arguments)
    assert sys.stderr.getvalue() == said


def test_logs_have_no_such_line(monkeypatch):
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        start._print_start("train", [])
        assert stream is None or stream.getvalue() == ""


def test_garbage_is_collected_again_once_a_command_is_imported(monkeypatch):
    called = []
    monkeypatch.setattr(cli.gc, "freeze", lambda: called.append("freeze"))
    monkeypatch.setattr(cli.atexit, "register", called.append)
    cli._resume_collection()
    assert called == []
    gc.disable()
    try:
        cli._resume_collection()
        assert gc.isenabled()
    finally:
        gc.enable()
    assert called == ["freeze", gc.unfreeze]
