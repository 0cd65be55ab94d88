from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganforge.compute.load import Load, Reading


def test_cores_of_others_are_the_busy_ones_without_the_own():
    before = Reading(at=10.0, busy=100.0, own=5.0)
    assert before.others_until(Reading(at=14.0, busy=110.0, own=7.0)) == pytest.approx(2.0)
    assert before.others_until(Reading(at=14.0, busy=101.0, own=9.0)) == 0.0
    assert before.others_until(before) == 0.0


def test_the_load_is_unknown_right_after_the_first_reading_and_without_proc(monkeypatch):
    clock = iter([Reading(0.0, 0.0, 0.0), Reading(0.1, 9.0, 0.0), Reading(2.0, 5.0, 1.0), None])
    monkeypatch.setattr(Reading, "take", lambda: next(clock))
    load = Load()
    assert load._first is None
    load._first = Reading.take()
    assert load.others() is None
    assert load.others() == pytest.approx(2.0)
    assert load.others() is None


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="needs Linux's /proc")
def test_time_of_living_children_is_own_time():
    work = "import sys, time\nwhile time.process_time() < 0.3: pass\n"
    work += "print(flush=True)\nsys.stdin.read()"
    before = Reading.take()
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-S", "-c", work], **streams) as child:
        assert child.stdout.readline()
        after = Reading.take()
        child.stdin.close()
    assert after.own - before.own >= 0.25  # in ticks of 0.01 s
    assert after.busy - before.busy >= after.own - before.own - 0.1
    assert before.at < after.at < time.monotonic()
