"""Terminal output: with any encoding, and with control characters in names."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import pytest
from rich.table import Table
from rich.text import Text

from ganforge import console as consoles
from ganforge.compare.cells import Table as ComparisonTable
from ganforge.terminal import as_typed, readable_streams

HOSTILE = "run[/bold][red]\x1b]0;title\x07\x1b[2J\x9b2J\u202e\nforged line\r"
SHOWN = r"run[/bold][red]\x1b]0;title\x07\x1b[2J\x9b2J\u202e\nforged line\r"


def stream(monkeypatch, encoding: str, errors: str = "strict") -> io.BytesIO:
    raw = io.BytesIO()
    for name in ("stdout", "stderr"):
        text = io.TextIOWrapper(raw, encoding, errors, write_through=True)
        monkeypatch.setattr(sys, name, text)
    return raw


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", rb"a | b ... 1 +/- 0 -> Gr\xf6\xdfe -|+\udcff\U0001f600"),
        ("latin-1", b"a \xb7 b ... 1 \xb1 0 -> Gr\xf6\xdfe -|+\\udcff\\U0001f600"),
        ("cp1252", b"a \xb7 b \x85 1 \xb1 0 -> Gr\xf6\xdfe -|+\\udcff\\U0001f600"),
        ("utf-8", "a · b … 1 ± 0 → Größe ━│┏".encode() + b"\\udcff" + "😀".encode()),
    ],
)
@pytest.mark.parametrize("errors", ["strict", "surrogateescape", "backslashreplace"])
def test_every_encoding_can_be_written(monkeypatch, encoding, written, errors):
    raw = stream(monkeypatch, encoding, errors)
    readable_streams()
    for where in (sys.stdout, sys.stderr):
        print("a · b … 1 ± 0 → Größe ━│┏\udcff😀", file=where)
    assert raw.getvalue() == 2 * (written + b"\n")


def test_a_choice_of_the_user_stays(monkeypatch):
    raw = stream(monkeypatch, "ascii", "replace")
    readable_streams()
    print("·")
    assert raw.getvalue() == b"?\n"


def test_tables_and_bars_of_the_console_are_ascii_where_it_must_be(monkeypatch):
    raw = stream(monkeypatch, "ascii")
    readable_streams()
    table = ComparisonTable("scores", ["group"], [["1 ± 0 …"]], ["a · b"])
    consoles.PlainConsole().print(table.rich())
    assert b"1 +/- 0 ..." in raw.getvalue()
    assert b"a | b" in raw.getvalue()


def test_names_are_text_on_the_console(capsys):
    console = consoles.PlainConsole()
    console.print(f"run folder: {HOSTILE}", soft_wrap=True)
    assert capsys.readouterr().out == f"run folder: {SHOWN}\n"
    table = Table(HOSTILE.replace("\n", ""), title=Text("\x1b[2J"))
    table.add_row("[red]\x1b[2J")
    console.print("[a]", table, Text("\x1b[31m"))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert "[red]" in out


def test_cells_are_one_line():
    table = ComparisonTable(HOSTILE, [HOSTILE], [[HOSTILE]], [HOSTILE])
    assert "\x1b" not in table.markdown()
    assert "\nforged" not in table.markdown()


def test_log_lines_cannot_be_forged(capsys, monkeypatch):
    logger = logging.getLogger("ganforge")
    monkeypatch.setattr(logger, "handlers", [])
    consoles.setup_logging()
    logger.warning("%s", "x\x1b[2J\n12:00:00  forged")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(r"  x\x1b[2J")
    assert second == "          12:00:00  forged"


def test_an_error_message_cannot_control_the_terminal(type_in):
    typed = type_in("sample", "run=a\x1b[2Jb")
    assert typed.code != 0
    assert "\x1b" not in typed.err
    assert r"\x1b[2J" in typed.err


def test_commands_in_messages_are_those_that_the_user_can_type(monkeypatch, type_in):
    assert as_typed("ganforge sample") == "ganforge sample"
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")  # as uv sets it
    assert as_typed("ganforge sample") == "uv run ganforge sample"
    typed = type_in("prepare", "data=fake", "data.size=4", "data.image_size=8", "out=o")
    assert "train on them: uv run ganforge train data=webdataset" in typed.out


def test_nothing_is_imported_from_the_current_folder(tmp_path):
    for name in ("omegaconf", "hydra", "rich", "yaml"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w').close()")
    command = [sys.executable, "-m", "ganforge", "compare", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "ganforge compare" in done.stdout) == (0, True), done.stderr
    assert not (tmp_path / "ran").exists()
