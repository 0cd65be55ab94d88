"""The images of scikit-learn are the same with and without importing it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_image

from ganforge.data.files import bundled


@pytest.mark.parametrize("found", [True, False])
def test_images_are_those_of_scikit_learn(monkeypatch, found):
    if not found:  # as in a version of scikit-learn that keeps them elsewhere
        monkeypatch.setattr(bundled, "_find", lambda *_: None)
    for ours, theirs in zip(bundled.digits(), load_digits(return_X_y=True), strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)
    for name in ("china", "flower"):
        assert np.array_equal(bundled.photograph(name), load_sample_image(f"{name}.jpg"))


def test_the_files_are_where_they_are_searched():
    assert bundled._find("data", "digits.csv.gz")
    assert bundled._find("images", "china.jpg")
    assert bundled._find("images", "nothing.jpg") is None
