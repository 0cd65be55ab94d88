from __future__ import annotations

import pytest
import torch

from ganforge.callbacks.alerts import has_collapsed, variety


class Game:
    """Makes images that lie ``spread`` around a picture, by class where there are classes."""

    def __init__(self, spread: float, num_classes: int = 0) -> None:
        self.spread = spread
        self.num_classes = num_classes

    def sample(self, n, seed=0, weights="ema", start=0, labels=None):
        assert (labels is not None) == (self.num_classes > 0)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(n, 1, 8, 8, generator=generator)
        shift = 0 if labels is None else labels.view(-1, 1, 1, 1).float()
        return 0.1 + shift + self.spread * noise


class Data:
    """Half black, half white images: the root of their mean variance is 1."""

    def reals(self, n, split="train"):
        images = torch.zeros(n, 1, 8, 8, dtype=torch.uint8)
        images[n // 2 :] = 255
        return images, None

    def size(self, split):
        return 1000


def test_variety_is_the_root_of_the_pixels_mean_variance():
    images = torch.tensor([[0.0, 0.0], [2.0, 4.0]]).view(2, 1, 1, 2)
    assert variety(images) == pytest.approx(((1 + 4) / 2) ** 0.5)
    assert variety(torch.ones(5, 3, 2, 2)) == 0
    assert variety(Data().reals(64)[0].float() / 127.5 - 1) == pytest.approx(1.0)


@pytest.mark.parametrize("num_classes", [0, 10])
@pytest.mark.parametrize(
    ("spread", "collapsed"), [(0.5, False), (0.08, False), (0.03, True), (0, True)]
)
def test_collapse_is_below_a_twentieth_of_the_variety_of_reals(spread, collapsed, num_classes):
    assert has_collapsed(Game(spread, num_classes), Data()) is collapsed
