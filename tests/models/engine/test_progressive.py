from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.models.engine.progressive import Growth, reals_at, size_of, stage_of

# 100 images at 4x4, 40 to 8x8, 100 there, 40 to 16x16.
GROWTH = Growth(16, stable_images=100, fade_images=40)


@pytest.mark.parametrize(
    ("images", "level", "size"),
    [
        (0, 0, 4),
        (99, 0, 4),
        (100, 0, 4),
        (101, 1 / 40, 8),
        (130, 0.75, 8),
        (139, 39 / 40, 8),
        (140, 1, 8),
        (240, 1, 8),
        (250, 1.25, 16),
        (279, 1 + 39 / 40, 16),
        (280, 2, 16),
        (10**9, 2, 16),
    ],
)
def test_the_schedule_by_hand(images, level, size):
    assert GROWTH.level_at(images) == pytest.approx(level, abs=1e-12)
    assert GROWTH.size_at(images) == size


def test_levels_rise_in_even_steps():
    levels = torch.tensor([GROWTH.level_at(n) for n in range(300)])
    rises = levels.diff()
    assert (rises >= 0).all()
    torch.testing.assert_close(rises.max().item(), 1 / 40, atol=1e-6, rtol=0)
    assert int((rises > 0).sum()) == 80


def test_the_papers_schedule():
    """600,000 and 600,000 at 4x4 ... 512x512; 1024x1024 is reached after 8 * 1.2 million."""
    growth = Growth(1024)
    assert growth.images == 9_600_000
    found = [growth.level_at(n) for n in (600_000, 900_000, 1_200_000, 9_300_000, 9_600_000)]
    assert found == [0, 0.5, 1, 7.5, 8]


def test_a_start_at_another_size():
    growth = Growth(16, start_size=8, stable_images=10, fade_images=10)
    assert [growth.level_at(n) for n in (0, 10, 15, 20, 99)] == [1, 1, 1.5, 2, 2]
    fixed = Growth(16, start_size=16, stable_images=10)
    assert (fixed.level_at(0), fixed.images) == (2, 0)


def test_stages_that_come_at_once():
    growth = Growth(16, stable_images=10, fade_images=0)
    assert [growth.level_at(n) for n in (0, 9, 10, 19, 20)] == [0, 0, 1, 1, 2]


def test_entries_for_each_size():
    """A stage's own from its first faded image on; the last one beyond the list."""
    growth = Growth(
        16,
        stable_images=100,
        fade_images=40,
        batch_sizes=[8, 4],
        learning_rate_factors=[1, 1, 1.5],
    )
    at = (0, 100, 101, 240, 241, 10**6)
    assert [growth.batch_size_at(n, 3) for n in at] == [8, 8, 4, 4, 4, 4]
    assert [growth.learning_rate_factor_at(n) for n in at] == [1, 1, 1, 1, 1.5, 1.5]
    assert growth.all_batch_sizes(3) == [8, 4, 4]
    assert Growth(16, start_size=8, batch_sizes=[8, 4, 2]).all_batch_sizes(3) == [4, 2]


def test_without_entries_the_data_and_the_optimizers_decide():
    assert [GROWTH.batch_size_at(n, 3) for n in (0, 120, 10**6)] == [3, 3, 3]
    assert GROWTH.learning_rate_factor_at(0) == 1
    assert GROWTH.all_batch_sizes(3) == [3, 3, 3]


def test_sizes_of_stages():
    assert [stage_of(size) for size in (4, 8, 1024)] == [0, 1, 8]
    assert [size_of(level) for level in (0, 0.01, 1, 1.5, 8)] == [4, 8, 8, 16, 1024]


# ---------------------------------------------------------------------- reals


def test_reals_are_means_of_squares():
    """8x8 counted along its rows: each 2x2 square has its first number + (0 + 1 + 8 + 9) / 4."""
    image = torch.arange(64.0).view(1, 1, 8, 8)
    small = reals_at(image, 0)
    firsts = torch.tensor([[16.0 * row + 2 * column for column in range(4)] for row in range(4)])
    assert torch.equal(small[0, 0], firsts + 4.5)
    assert torch.equal(reals_at(image, 1), image)


def test_reals_are_faded_by_hand():
    """At 0.25: a quarter of the pixel, three quarters of the mean of its square."""
    image = torch.arange(64.0).view(1, 1, 8, 8)
    faded = reals_at(image, 0.25)
    assert faded.shape == (1, 1, 8, 8)
    # The first square holds 0, 1, 8, 9, of mean 4.5; the last one 54, 55, 62, 63, of mean 58.5.
    assert faded[0, 0, :2, :2].flatten().tolist() == [3.375, 3.625, 5.375, 5.625]
    assert faded[0, 0, 7, 7].item() == 0.75 * 58.5 + 0.25 * 63


def test_reals_are_shrunk_before_they_are_faded():
    """16x16 at level 0.5: 8x8 of means, each halfway to the mean of four of them."""
    image = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    found = reals_at(image, 0.5)
    for row in range(8):
        for column in range(8):
            own = image[..., 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean((2, 3))
            first, left = row // 2 * 4, column // 2 * 4
            wide = image[..., first : first + 4, left : left + 4].mean((2, 3))
            torch.testing.assert_close(found[..., row, column], (own + wide) / 2)


def test_reals_keep_their_mean():
    image = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for level in (0, 0.3, 1, 2.9, 3):
        torch.testing.assert_close(reals_at(image, level).mean((2, 3)), image.mean((2, 3)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image_size": 48}, "image_size must be one of 4, 8, .*1024; got 48"),
        ({"start_size": 6}, "start_size must be one of 4, 8, 16; got 6"),
        ({"start_size": 32}, "start_size must be one of 4, 8, 16; got 32"),
        ({"stable_images": 0}, "stable_images must be at least 1, got 0"),
        ({"fade_images": -1}, "fade_images must be at least 0, got -1"),
        ({"batch_sizes": [4, 0]}, r"batch_sizes must be at least 1, got \[4, 0\]"),
        ({"learning_rate_factors": [0]}, r"learning_rate_factors must be above 0, got \[0\]"),
        ({"learning_rate_factors": [1, float("nan")]}, "learning_rate_factors must be above 0"),
    ],
)
def test_refuses(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Growth(**{"image_size": 16} | wrong)
