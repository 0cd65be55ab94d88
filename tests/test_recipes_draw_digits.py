"""The recipes of growing and style-based networks, with their required scores."""

from __future__ import annotations

import pytest

from tests.support.recipes import trained


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pggan", "stylegan", "stylegan2"])
def test_growing_and_styled_networks_draw_digits(name, tmp_path):
    metrics = trained(f"digits/{name}", tmp_path)["metrics"]
    assert metrics["is_classifier"]["value"] > 8.7
