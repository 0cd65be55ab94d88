"""The probes of benchmarks/attack.py, as tests: hostile, damaged and unusual input."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import attack
from attacks.probe import Outcome, Probe, run

PROBES = list(attack.probes())


@pytest.mark.slow
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.title)
def test_a_probe_holds(probe: Probe, tmp_path: Path):
    attack.warm()
    faults, outcome = run(probe, tmp_path)
    assert not faults, f"{'; '.join(faults)}\n{outcome.output}"


def test_there_are_enough_probes_of_different_names():
    assert len(PROBES) >= 200
    assert len({probe.title for probe in PROBES}) == len(PROBES)


def test_a_probe_that_does_not_hold_is_seen(tmp_path):
    def harm(folder: Path, outcome: Outcome) -> None:
        (folder.parent / "outside" / "precious.txt").write_text("other")

    probe = Probe("test", "version", ["--version"], codes=(1,), says="no such text", check=harm)
    faults, outcome = run(probe, tmp_path)
    assert outcome.code == 0
    assert faults == [
        "exit 0, not 1",
        "does not say 'no such text'",
        "outside/precious.txt was changed",
    ]
