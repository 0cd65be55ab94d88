from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganforge.errors import DataError
from ganforge.metrics.reference_statistics import read_statistics

FLAT = ["features=module", "features.module=torch.nn.Flatten", "features.size=4"]


def pictures(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (80, 4, 4, 3), dtype=np.uint8)


def judged(type_in: Callable[..., Any], folder: Path, *arguments: str) -> dict[str, Any]:
    done = type_in("evaluate", *FLAT, *arguments, "out=o")
    assert done.code == 0, done.err
    metrics: dict[str, Any] = json.loads((folder / "o/evaluation.json").read_text())["metrics"]
    return metrics["fid_flatten"]


def test_statistics_and_arrays_give_the_distance_of_the_images(
    type_in: Callable[..., Any], tmp_path: Path
) -> None:
    for name, seed in (("fake", 1), ("real", 2)):
        np.save(tmp_path / f"{name}.npy", pictures(seed))
        np.savez(tmp_path / f"{name}-images.npz", images=pictures(seed))
    whole = judged(type_in, tmp_path, "fake=fake.npy", "real=real-images.npz", "metrics=[fid]")
    # As features=module sees them: in [0, 1], normalized by ImageNet's mean and deviation.
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    rows = ((pictures(2) / 255 - mean) / std).transpose(0, 3, 1, 2).reshape(80, -1)
    np.savez(tmp_path / "s.npz", mu=rows.mean(0), sigma=np.cov(rows, rowvar=False))
    found = judged(type_in, tmp_path, "fake=fake.npy", "real=s.npz", "metrics=[fid]")
    assert found["value"] == pytest.approx(whole["value"], rel=1e-4)
    assert (found["n_fake"], found["n_real"]) == (80, 0)
    assert len(found["real_statistics"]) == 8
    refused = type_in("evaluate", *FLAT, "fake=fake.npy", "real=s.npz", "metrics=[fid,kid]")
    assert refused.code == 2
    assert "metrics=kid needs images" in refused.err
    np.savez(tmp_path / "n.npz", mu=np.zeros(7), sigma=np.eye(7))
    narrow = type_in("evaluate", *FLAT, "fake=fake.npy", "real=n.npz", "metrics=[fid]")
    assert narrow.code == 2
    assert "statistics have 7 features" in narrow.err
    assert "has 48" in narrow.err


@pytest.mark.parametrize(
    ("mu", "sigma", "said"),
    [
        (np.zeros(3), np.eye(4), r"\[3\] and sigma float64 \[4, 4\]"),
        (np.zeros((3, 1)), np.eye(3), "must be floating-point"),
        (np.zeros(3, dtype=int), np.eye(3), "must be floating-point"),
        (np.full(3, np.nan), np.eye(3), "not finite"),
        (np.zeros(2), np.array([[1.0, 2], [0, 1]]), "not symmetric"),
    ],
)
def test_odd_statistics_are_refused(tmp_path: Path, mu: Any, sigma: Any, said: str) -> None:
    np.savez(tmp_path / "s.npz", mu=mu, sigma=sigma)
    with pytest.raises(DataError, match=said):
        read_statistics(tmp_path / "s.npz")


def test_arrays_of_images_are_no_statistics(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", arr_0=pictures(0), mu=np.zeros(2), sigma=np.eye(2))
    assert read_statistics(tmp_path / "s.npz") is None
    assert read_statistics(tmp_path / "none.npz") is None
    np.savez(tmp_path / "s.npz", mu=np.zeros(2, dtype=np.float32), sigma=np.eye(2))
    found = read_statistics(tmp_path / "s.npz")
    assert found is not None
    assert torch.equal(found.covariance, torch.eye(2, dtype=torch.float64))
