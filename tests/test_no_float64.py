"""What runs on the device of a model uses no float64, which Metal (MPS) does not have.

Here the device is the CPU, and a guard refuses what Metal would.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganforge.augment.ada import ADA
from ganforge.augment.diffaugment import DiffAugment
from ganforge.callbacks.alerts import has_collapsed
from ganforge.metrics import L1, FrechetDistance, InceptionScore, PathLength
from ganforge.metrics.real_features import compute_features
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.latent_paths import LatentPaths
from ganforge.models.gan import GAN
from ganforge.regularizers.consistency import BalancedConsistency
from ganforge.regularizers.gradient_penalty import GradientPenalty
from ganforge.regularizers.zero_centered import R1
from tests.support import games, styled
from tests.support.configs import noise_models, take_steps, tiny, translation_models
from tests.support.small_features import SmallFactory


class NoFloat64(TorchDispatchMode):
    """Refuses operations that make float64 tensors, in forward and backward passes."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.dtype == torch.float64:
                raise TypeError(f"{func}: the MPS framework does not support float64")
        return made


def test_the_guard_refuses_float64():
    weight = torch.ones(2, requires_grad=True)
    with NoFloat64():
        (2.5 * weight).sum().backward()
        with pytest.raises(TypeError, match="does not support float64"):
            weight.double()
        with pytest.raises(TypeError, match="does not support float64"):
            torch.zeros(2, dtype=torch.float64)


PENALIZED = {"r1": R1(1.0), "penalty": GradientPenalty(1.0), "consistency": BalancedConsistency()}


@pytest.mark.parametrize(
    "make",
    [
        lambda: games.game(
            GAN, **games.convolutional_players(), regularizers=PENALIZED, augment=DiffAugment()
        ),
        lambda: styled.game(augment=ADA(p=0.5)),
    ],
    ids=["penalties", "styles"],
)
def test_training_sampling_and_features(make, tmp_path):
    model, data = make(), games.images(16)
    with NoFloat64():
        games.fit(model, tmp_path, data, max_steps=2, log_every_n_steps=1)
        model.sample(2)
        LatentPaths(model, seed=1)(0, 0.1)
        extractor = SmallFactory().build(data, torch.device("cpu"))
        for _ in compute_features(model.sample, [extractor], 0, 4, 2):
            pass


def test_alerts_compute_on_the_cpu(monkeypatch):
    """Their float64 comes after the images have left the device."""
    left = []
    original = Tensor.cpu
    monkeypatch.setattr(Tensor, "cpu", lambda self: left.append(self) or original(self))
    data = games.images()
    data.setup()
    assert has_collapsed(games.game(), data) in (True, False)
    assert len(left) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [*noise_models(), *translation_models()])
def test_every_model_trains(name, monkeypatch, tmp_path):
    """Its steps alone are guarded: images are prepared on the CPU, some of them in float64."""
    step = AdversarialModule.training_step

    def guarded(self, batch, batch_idx) -> None:
        with NoFloat64():
            step(self, batch, batch_idx)

    monkeypatch.setattr(AdversarialModule, "training_step", guarded)
    assert take_steps(tiny(f"model={name}"), 2, tmp_path).model.iteration == 2


def test_scores_on_metal_are_computed_on_the_cpu():
    for score in (FrechetDistance(), InceptionScore(), PathLength()):
        score.reset(4, 8, 8, torch.device("mps"))
        assert score.device.type == "cpu"
        assert {state.device.type for state in score.metric.buffers()} <= {"cpu"}
    pair = L1()
    pair.reset(torch.device("mps"))
    assert pair.device.type == "cpu"
