from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganforge.compute.hardware import Hardware
from ganforge.config.command import Command
from ganforge.loggers.wandb.run import save_copies
from ganforge.runs.code_version import CodeVersion
from ganforge.runs.provenance import facts_of, read, record

CPU = Hardware("cpu", 1, "32-true", False, False, "")


def test_the_same_code_is_written_once_whatever_its_line_ends(tmp_path, monkeypatch):
    diffs = ["-a\r\n+b\r\n", "-a\r\n+b\r\n", "-a\n+b\n", "", "-a\n+b\n"]
    versions = iter([CodeVersion("abc", None, diff) for diff in diffs])
    monkeypatch.setattr(CodeVersion, "read", lambda: next(versions))
    for _ in diffs:
        record(tmp_path, Command("ganforge train"), CPU, Path("last.ckpt"))
    named = [session["code"]["diff"] for session in read(tmp_path)]
    assert named == ["code.diff", "code.diff", "code-2.diff", None, "code-2.diff"]
    assert (tmp_path / "code.diff").read_bytes() == b"-a\r\n+b\r\n"
    assert (tmp_path / "code-2.diff").read_bytes() == b"-a\n+b\n"


def test_links_and_fifos_in_a_copied_run_are_neither_read_nor_sent(tmp_path, monkeypatch):
    run, secret = tmp_path / "run", tmp_path / "secret"
    run.mkdir()
    secret.write_text("mine")
    (run / "code.diff").symlink_to(secret)
    os.mkfifo(run / "code-2.diff")
    monkeypatch.setattr(CodeVersion, "read", lambda: CodeVersion("abc", None, "mine"))
    record(run, Command("ganforge train"), CPU)
    assert read(run)[0]["code"]["diff"] == "code-3.diff"
    assert [path.name for path in facts_of(run).files] == ["provenance.json", "code-3.diff"]
    sent = SimpleNamespace(disabled=False, dir=str(tmp_path), save=lambda *a, **k: None)
    with pytest.raises(OSError, match="is a link"):
        save_copies(sent, [run / "code.diff"])
