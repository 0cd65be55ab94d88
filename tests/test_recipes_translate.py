"""The recipes of translation, with their required scores."""

from __future__ import annotations

import pytest

from tests.support.recipes import trained


@pytest.mark.slow
def test_pix2pix_beats_both_baselines(tmp_path):
    metrics = trained("photos/pix2pix", tmp_path)["metrics"]
    for baseline in ("input", "constant"):
        assert metrics["l1"]["value"] < metrics[f"l1_{baseline}_baseline"]["value"]
        assert metrics["ssim"]["value"] > metrics[f"ssim_{baseline}_baseline"]["value"]


@pytest.mark.slow
def test_cyclegan_comes_back_and_nears_both_domains(tmp_path):
    history = trained("photos/cyclegan", tmp_path, threads=2)["history"]
    first, last = history[0], history[-1]
    for domain in "AB":
        assert last[f"cycle_l1_{domain}"] < first[f"cycle_l1_{domain}"] / 2
    for direction in ("AtoB", "BtoA"):
        assert last[f"fid_classifier_{direction}"] < first[f"fid_classifier_{direction}"]
