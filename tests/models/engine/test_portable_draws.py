"""Samples are the same on every device: all their random numbers are drawn on the CPU."""

from __future__ import annotations

import pytest
import torch

from ganforge.models.engine.latent_paths import LatentPaths
from ganforge.models.engine.sampling import image_noise
from ganforge.runs.load import build_model
from ganforge.streams import Noise
from tests.support import styled
from tests.support.configs import tiny
from tests.support.games import fit, game


@pytest.fixture
def draws(monkeypatch) -> list[bool]:
    """Collects whether each draw of random numbers was portable."""
    collected: list[bool] = []
    for kind in ("normal", "uniform", "integers"):
        original = getattr(Noise, kind)

        def spy(self, *arguments, original=original):
            collected.append(self.portable)
            return original(self, *arguments)

        monkeypatch.setattr(Noise, kind, spy)
    return collected


def styles(model) -> None:
    model.render(model.styles(2, seed=1), seed=1, index=3)


SAMPLING = {
    "samples": lambda model: model.sample(3, seed=1),
    "paths": lambda model: LatentPaths(model, seed=1)(0, 0.1),
    "styles": styles,
}


@pytest.mark.parametrize(
    ("make", "how"),
    [
        (game, "samples"),
        (game, "paths"),
        (styled.game, "samples"),
        (styled.game, "paths"),
        (styled.game, "styles"),
        (lambda: build_model(tiny("model=infogan")), "samples"),
        (lambda: build_model(tiny("model=biggan", "model.truncation=0.5")), "samples"),
    ],
)
def test_every_draw_of_a_sample_is_portable(draws, make, how):
    SAMPLING[how](make())
    assert draws
    assert all(draws)


def test_training_draws_on_its_device(draws, tmp_path):
    fit(game(), tmp_path, max_steps=1)
    assert draws
    assert not any(draws)


def test_the_draws_of_an_image_are_portable():
    noise = image_noise(3, 65, torch.device("meta"))
    assert noise.normal(2).device.type == "meta"
    ours, block = image_noise(3, 65, torch.device("cpu")), image_noise(3, 64, torch.device("cpu"))
    assert not torch.equal(ours.normal(2), block.normal(2))
