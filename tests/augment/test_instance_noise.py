from __future__ import annotations

import pytest
import torch

from ganforge.augment.augmentation import Augmentation
from ganforge.augment.instance_noise import InstanceNoise
from ganforge.errors import ConfigError
from ganforge.streams import Noise


def test_it_adds_the_streams_own_draws():
    images = torch.rand(3, 2, 4, 4) * 2 - 1
    noisy = InstanceNoise(0.3)(images, Noise(7, 3))
    torch.testing.assert_close(noisy, images + 0.3 * Noise(7, 3).normal(2, 4, 4))


def test_the_noise_has_the_configured_scale():
    noisy = InstanceNoise(0.5)(torch.zeros(256, 1, 16, 16), Noise(0, 256))
    assert noisy.std().item() == pytest.approx(0.5, rel=0.01)
    assert noisy.mean().item() == pytest.approx(0, abs=0.01)


def test_gradients_pass_unchanged():
    images = torch.zeros(2, 1, 4, 4, requires_grad=True)
    InstanceNoise(0.5)(images, Noise(0, 2)).sum().backward()
    assert images.grad is not None
    assert (images.grad == 1).all()


def test_every_rank_takes_its_rows():
    images = torch.zeros(4, 1, 2, 2)
    whole = InstanceNoise(1.0)(images, Noise(3, 4))
    parts = [InstanceNoise(1.0)(images[:2], Noise(3, 2, rank=rank, world=2)) for rank in (0, 1)]
    torch.testing.assert_close(torch.stack(parts, 1).flatten(0, 1), whole)


def test_no_augmentation_is_the_identity():
    images = torch.rand(2, 1, 4, 4)
    assert Augmentation()(images, Noise(0, 2)) is images


def test_a_negative_scale_is_refused():
    with pytest.raises(ConfigError, match="scale must be at least 0"):
        InstanceNoise(-1.0)


def test_a_shift_moves_each_image_by_whole_pixels():
    images = torch.zeros(64, 1, 8, 8)
    images[:, :, 3, 4] = 1.0
    shifted = InstanceNoise(0.0, shift=0.25)(images, Noise(5, 64))
    assert shifted.shape == images.shape
    assert (shifted.sum((1, 2, 3)) == 1).all()
    rows, columns = (shifted[:, 0] == 1).nonzero()[:, 1:].unbind(1)
    assert sorted(set((rows - 3).tolist())) == [-2, -1, 0, 1, 2]
    assert sorted(set((columns - 4).tolist())) == [-2, -1, 0, 1, 2]


def test_shifted_images_repeat_the_border():
    images = torch.full((16, 3, 8, 8), -1.0)
    torch.testing.assert_close(InstanceNoise(0.0, shift=0.5)(images, Noise(1, 16)), images)


def test_a_shift_passes_gradients_to_the_pixels_it_shows():
    images = torch.randn(8, 1, 8, 8, requires_grad=True)
    InstanceNoise(0.0, shift=0.125)(images, Noise(2, 8)).sum().backward()
    assert images.grad is not None
    assert images.grad.sum().item() == pytest.approx(8 * 64)


def test_a_shift_beyond_the_image_is_refused():
    with pytest.raises(ConfigError, match=r"shift must be in \[0, 1\)"):
        InstanceNoise(0.1, shift=1.0)
