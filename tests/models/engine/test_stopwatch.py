from __future__ import annotations

import pytest

from ganforge.models.engine.observations import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def test_counts_between_start_and_stop_alone(clock):
    watch = Stopwatch()
    assert watch.seconds == 0
    watch.start()
    clock[0] += 3
    assert watch.seconds == 3
    watch.stop()
    clock[0] += 50
    assert watch.seconds == 3
    watch.start()
    clock[0] += 1
    assert watch.seconds == 4


def test_a_second_start_or_stop_changes_nothing(clock):
    watch = Stopwatch()
    watch.start()
    clock[0] += 2
    watch.start()
    clock[0] += 2
    watch.stop()
    watch.stop()
    assert watch.seconds == 4


def test_continues_from_earlier_seconds(clock):
    watch = Stopwatch()
    watch.start()
    watch.set(20.0)
    clock[0] += 7
    assert watch.seconds == 20
    watch.start()
    clock[0] += 1
    assert watch.seconds == 21
