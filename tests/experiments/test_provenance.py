from __future__ import annotations

from pathlib import Path

from ganforge.experiments.code_version import CodeVersion
from ganforge.experiments.command import Command
from ganforge.experiments.provenance import read, record
from ganforge.hardware import Hardware

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
