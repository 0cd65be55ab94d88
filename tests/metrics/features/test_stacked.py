from __future__ import annotations

import pytest
import torch

from ganforge.data.sets.stacked import StackedDigits
from ganforge.errors import ConfigError
from ganforge.metrics.features.auto import AutoFactory
from ganforge.metrics.features.stacked import StackedFactory, StackedFeatures, joint
from ganforge.metrics.scores.modes import HighQuality, ModeDivergence, ModesCovered
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images

CPU = torch.device("cpu")


class Telltale(Glance):
    """Reads the class of an image off its first pixel."""

    def forward(self, images):
        seen = super().forward(images)
        named = torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), 4)
        return seen._replace(logits=8.0 * named.float())


def test_joint_log_probabilities_add_up_in_the_order_of_labels():
    logs = torch.log_softmax(torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0)), 2)
    found = joint(logs)
    assert found.shape == (5, 64)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(5))
    expected = logs[2, 0, 3] + logs[2, 1, 0] + logs[2, 2, 1]
    assert float(found[2, 3 * 16 + 0 * 4 + 1]) == pytest.approx(float(expected))


def test_the_best_mode_is_that_of_the_three_digits():
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    images[0, :, 0, 0] = torch.tensor([1, 2, 3])
    images[1, :, 0, 0] = torch.tensor([3, 0, 0])
    seen = StackedFeatures(Telltale())(images)
    assert seen.logits.argmax(1).tolist() == [16 + 8 + 3, 48]
    assert seen.logits.amax(1).tolist() == [0, 0]
    assert seen.features.shape == (2, 18)


def test_channels_are_classified_one_by_one():
    images = noise_images(3, channels=3)
    glance = Glance()
    seen = StackedFeatures(glance)(images)
    for channel in range(3):
        alone = glance(images[:, channel : channel + 1]).features
        torch.testing.assert_close(seen.features[:, 6 * channel : 6 * channel + 6], alone)


@pytest.mark.slow
def test_real_stacks_cover_nearly_all_modes(cache):
    data = StackedDigits(size=12_000, image_size=32)
    factory = AutoFactory(cache=str(cache))
    extractor = factory.build(data, CPU)
    assert isinstance(extractor, StackedFeatures)
    scores = {"modes": ModesCovered(), "quality": HighQuality(), "kl": ModeDivergence()}

    def sample(n, start):
        return data.reals(n, "test", start)[0].float() / 127.5 - 1

    found = evaluate(sample, data, extractor, scores, 2000, 0, batch_size=500)
    # Of 1,000 equal modes 2,000 draws miss a share of exp(-2).
    assert found["modes"].value == pytest.approx(1000 * (1 - 0.1353), abs=45)
    assert found["quality"].value == 1
    one = evaluate(
        lambda n, start: sample(1, 0).expand(n, -1, -1, -1), data, extractor, scores, 500, 0, 500
    )
    assert one["modes"].value == 1
    assert one["kl"].value > 4


def test_other_data_are_refused():
    with pytest.raises(ConfigError, match="data=stacked_digits or data=stacked_mnist"):
        StackedFactory().build(Pictures(noise_images(4)), CPU)
