from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError
from ganforge.losses.relativistic import RelativisticLoss
from ganforge.regularizers.feature_matching import FeatureMatching
from ganforge.streams import Noise
from tests.regularizers.turns import context
from tests.support import games


def test_linear_features():
    """f = W x: |W (E x - E G(z))|^2, with derivative -2 W^T W (E x - E G(z)) / B in each image."""
    at_hand = context(Noise(0, 6))
    W = at_hand.discriminator.matrix
    apart = (at_hand.real.mean(0) - at_hand.fake.mean(0)).flatten().detach()
    term = FeatureMatching().term(at_hand)
    torch.testing.assert_close(term, (W @ apart).square().sum())
    (gradient,) = torch.autograd.grad(term, at_hand.fake)
    expected = -2 * (W.T @ W @ apart) / 6
    torch.testing.assert_close(gradient.flatten(1), expected.expand(6, -1))


def test_no_gradient_flows_into_the_features_of_real_images():
    real = torch.ones(4, 2, 4, 4, requires_grad=True)
    term = FeatureMatching().term(context(Noise(0, 4), real_images=real))
    assert torch.autograd.grad(term, real, allow_unused=True) == (None,)


def test_equal_means_cost_nothing_whatever_the_images():
    at_hand = context(Noise(0, 4))
    others = at_hand.fake.detach().flip(0)
    term = FeatureMatching().term(context(Noise(0, 4), real_images=others))
    assert term.item() == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("loss", [None, RelativisticLoss()])
def test_reals_and_fakes_are_matched_after_augmentation(loss, tmp_path):
    class Brighter(Augmentation):
        def forward(self, images, noise):
            return images + 10

    means: list[float] = []
    changes = {} if loss is None else {"loss": loss}
    model = games.game(augment=Brighter(), regularizers={"f": FeatureMatching()}, **changes)
    features = model.discriminator.features

    def spy(images, labels=None):
        means.append(float(images.detach().mean()))
        return features(images, labels)

    model.discriminator.features = spy
    games.fit(model, tmp_path, max_steps=1)
    assert len(means) == (5 if loss is None else 6)
    assert all(9 < mean < 11 for mean in means)


def test_the_discriminator_gets_no_gradient_from_it(tmp_path):
    after = []
    for terms in ({}, {"f": FeatureMatching(weight=100.0)}):
        model = games.game(regularizers=terms)
        games.fit(model, tmp_path, max_steps=1)
        after.append(games.weights(model))
    for name in after[0]:
        equal = torch.equal(after[0][name], after[1][name])
        assert equal == (not name.startswith("generator")) or name.startswith("average"), name


@pytest.mark.parametrize("parts", [1, 2])
def test_trains_and_is_logged(parts, tmp_path):
    points = games.Points()
    model = games.game(regularizers={"f": FeatureMatching()}, accumulate=parts)
    games.fit(model, tmp_path, max_steps=2, logger=points)
    assert all(distance > 0 for distance in points.column("generator/f"))
    assert len(points.column("generator/f")) == 2
    assert all(value.isfinite().all() for value in games.weights(model).values())


def test_needs_features():
    with pytest.raises(ConfigError, match=r"Identity has no method features.*use a network"):
        FeatureMatching().term(context(Noise(0, 4), discriminator=nn.Identity()))
