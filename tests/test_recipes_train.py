"""Recipes that take minutes on two cores, as users start them, with their required scores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def trained(experiment: str, folder: Path) -> dict[str, Any]:
    """Trains a recipe and returns its summary."""
    environment = os.environ | {"GANFORGE_CACHE": str(folder / "cache")}
    command = [sys.executable, str(ROOT / "train.py"), f"experiment={experiment}", "logger=csv"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = Path(done.stdout.strip().splitlines()[-1].removeprefix("run folder:").strip())
    return json.loads((run / "summary.json").read_text())


@pytest.mark.slow
def test_pix2pix_beats_both_baselines(tmp_path):
    metrics = trained("photos/pix2pix", tmp_path)["metrics"]
    for baseline in ("input", "constant"):
        assert metrics["l1"]["value"] < metrics[f"l1_{baseline}_baseline"]["value"]
        assert metrics["ssim"]["value"] > metrics[f"ssim_{baseline}_baseline"]["value"]


@pytest.mark.slow
def test_cyclegan_comes_back_and_nears_both_domains(tmp_path):
    history = trained("photos/cyclegan", tmp_path)["history"]
    first, last = history[0], history[-1]
    for domain in "AB":
        assert last[f"cycle_l1_{domain}"] < first[f"cycle_l1_{domain}"] / 2
    for direction in ("AtoB", "BtoA"):
        assert last[f"fid_classifier_{direction}"] < first[f"fid_classifier_{direction}"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pggan", "stylegan", "stylegan2"])
def test_growing_and_styled_networks_draw_digits(name, tmp_path):
    metrics = trained(f"digits/{name}", tmp_path)["metrics"]
    assert metrics["is_classifier"]["value"] > 7.5
