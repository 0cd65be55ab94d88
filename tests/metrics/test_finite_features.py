from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganforge.callbacks.evaluation import attempted
from ganforge.errors import ConfigError, DamagedError, DivergenceError, GanforgeError, ScoreError
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.features.base import Features
from ganforge.metrics.features.classifier import _trained, warn_near_chance
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.kernel import KernelDistance
from ganforge.metrics.scores.prdc import Coverage, Density, Precision, Recall
from ganforge.metrics.scores.score import Score
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images


class Overflowing(Glance):
    """Gives something else in place of one image's features or logits."""

    def __init__(self, part: str, value: float, chosen: Tensor) -> None:
        super().__init__()
        self.part, self.value, self.chosen = part, value, chosen

    def forward(self, images: Tensor) -> Features:
        seen = super().forward(images)
        faulty = (images == self.chosen).flatten(1).all(1)
        getattr(seen, self.part)[faulty, 1] = self.value
        return seen


SCORES: dict[str, type[Score]] = {
    "fid": FrechetDistance,
    "kid": KernelDistance,
    "is": InceptionScore,
    "precision": Precision,
    "recall": Recall,
    "density": Density,
    "coverage": Coverage,
}


@pytest.mark.parametrize("side", ["real", "generated"])
@pytest.mark.parametrize("name", list(SCORES))
@pytest.mark.parametrize(("part", "value"), [("features", math.nan), ("logits", math.inf)])
def test_features_that_are_not_finite_are_refused(
    name: str, side: str, part: str, value: float, tmp_path: Path
) -> None:
    reals, fakes = noise_images(40), noise_images(40, seed=1)
    chosen = reals[7] if side == "real" else fakes[7]
    extractor, data = Overflowing(part, value, chosen), Pictures(reals)
    score = SCORES[name]()
    if side == "real" and not score.needs_real:
        return
    cache = StatisticsCache(tmp_path)
    kept = RealFeatures(data, extractor, cache)
    with pytest.raises(
        ScoreError, match=rf"features=glance: .* 1 of 40 {side} images .*not finite"
    ):
        evaluate(
            lambda n, i: fakes[i : i + n], data, extractor, {name: score}, 40, 0, 8, reals=kept
        )
    assert side == "generated" or not list(tmp_path.iterdir())


def fails(error: Exception) -> object:
    def compute() -> object:
        raise error

    return compute


@pytest.mark.parametrize("error", [ScoreError("NaN"), RuntimeError("CUDA"), OSError(28, "full")])
def test_a_fault_of_an_evaluation_ends_no_training(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    assert attempted(fails(error), 1, 30) == {}  # type: ignore[arg-type]
    assert "NO SCORES AT STEP 30" in caplog.text


@pytest.mark.parametrize("error", [DivergenceError("x"), ConfigError("x"), KeyboardInterrupt()])
def test_fatal_errors_are_not_suppressed(error: Exception) -> None:
    with pytest.raises(type(error)):
        attempted(fails(error), 1, 30)  # type: ignore[arg-type]


def test_one_of_several_processes_never_continues_alone() -> None:
    with pytest.raises(GanforgeError):
        attempted(fails(ScoreError("x")), 2, 30)  # type: ignore[arg-type]
    together = ScoreError("x")
    together.everywhere = True
    assert attempted(fails(together), 2, 30) == {}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accuracy", "classes", "warned"),
    [(0.5, 2, True), (0.53, 2, True), (0.8, 2, False), (0.12, 10, True), (0.3, 10, False),
     (math.nan, 2, False)],
)  # fmt: skip
def test_a_classifier_near_chance_warns(
    accuracy: float, classes: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    labels = torch.arange(800) % classes
    warn_near_chance(accuracy, Pictures(torch.zeros(800, 1, 4, 4), labels, classes, test=400))
    assert ("LITTLE USE" in caplog.text) == warned


def test_the_most_frequent_class_is_the_chance(caplog: pytest.LogCaptureFixture) -> None:
    labels = (torch.arange(400) % 10 == 0).long()
    warn_near_chance(0.9, Pictures(torch.zeros(400, 1, 4, 4), labels, 2, test=400))
    assert "90.0%" in caplog.text


@pytest.mark.parametrize(
    "kept",
    [[], {}, {"state": {}}, {"state": [1], "accuracy": 0.5}, {"state": {"w": 1}, "accuracy": 0.5},
     {"state": {"w": torch.tensor(math.nan)}, "accuracy": 0.5},
     {"state": {"w": torch.ones(1)}, "accuracy": "x"}],
)  # fmt: skip
def test_files_without_a_classifier_are_damaged(kept: object) -> None:
    with pytest.raises(DamagedError):
        _trained(kept)
