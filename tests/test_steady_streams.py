from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ganforge.terminal import steady


def test_output_into_a_broken_pipe_is_dropped_and_said_once(monkeypatch, caplog):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", buffering=1) as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        with steady():
            for _ in range(3):
                print("a line")
            sys.stdout.flush()
        assert sys.stdout is broken
        broken.flush()  # as at interpreter exit
    (record,) = caplog.records
    assert record.getMessage() == "output is lost (Broken pipe); the run continues"


def test_what_cannot_be_encoded_is_not_a_lost_terminal(monkeypatch, tmp_path):
    with open(tmp_path / "out", "w", encoding="ascii", errors="strict") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with steady(), pytest.raises(UnicodeEncodeError):
            sys.stdout.write("…")


def test_closed_streams_do_not_lend_their_numbers_to_files(tmp_path):
    code = (
        "from ganforge.terminal import open_standard_streams as fill; fill()\n"
        f"file = open({str(tmp_path / 'x')!r}, 'w')\n"
        "import os; print('lost'); os.write(2, b'lost'); assert file.fileno() > 2"
    )
    command = [sys.executable, "-c", code]
    script = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(["bash", "-c", script, "-", *command], timeout=60, check=False)
    assert done.returncode == 0
    assert (tmp_path / "x").read_text() == ""
