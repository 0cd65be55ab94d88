from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.models.engine.image_pool import ImagePool
from ganforge.streams import Noise


def numbered(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1)


def query(pool: ImagePool, first: int, count: int) -> list[int]:
    images = numbered(*range(first, first + count))
    return pool.query(images, Noise(first, count)).flatten().int().tolist()


def kept(pool: ImagePool) -> list[int]:
    return [int(image) for image in pool.images]


def test_until_it_is_full_it_keeps_and_returns_every_image():
    pool = ImagePool(5)
    assert query(pool, 0, 3) == [0, 1, 2]
    assert query(pool, 3, 2) == [3, 4]
    assert kept(pool) == [0, 1, 2, 3, 4]


def test_no_image_is_lost_or_shown_from_nowhere():
    pool = ImagePool(4)
    shown = [number for first in range(0, 60, 3) for number in query(pool, first, 3)]
    # The first four are shown and kept; whatever else was asked is in the pool or was shown, once.
    assert sorted(shown + kept(pool)) == sorted([*range(60), *range(4)])


def test_half_of_the_images_are_exchanged_for_old_ones_at_uniform_places():
    pool, size = ImagePool(4), 2000
    query(pool, 0, 4)
    before = kept(pool)
    old, places = 0, torch.zeros(4)
    for number in range(4, 4 + size):
        (shown,) = query(pool, number, 1)
        if shown != number:
            old += 1
            places[before.index(shown)] += 1
        before = kept(pool)
    assert old / size == pytest.approx(0.5, abs=4 * (0.25 / size) ** 0.5)
    assert (places / old).tolist() == pytest.approx([0.25] * 4, abs=0.06)


def test_an_exchange_follows_the_draws_one_image_after_the_other():
    pool = ImagePool(2)
    query(pool, 0, 2)
    noise = Noise(7, 6)
    exchanged, places = (noise.uniform() < 0.5).tolist(), noise.integers(2).tolist()
    assert 0 < sum(exchanged) < 6
    expected, held = [], [0, 1]
    for number, exchange, place in zip(range(10, 16), exchanged, places, strict=True):
        expected.append(held[place] if exchange else number)
        held[place] = number if exchange else held[place]
    shown = pool.query(numbered(*range(10, 16)), Noise(7, 6)).flatten().int().tolist()
    assert shown == expected
    assert kept(pool) == held


def test_a_restored_pool_goes_on_as_the_one_it_was():
    ours, theirs = ImagePool(3), ImagePool(3)
    query(ours, 0, 10)
    theirs.restore(ours.state(), torch.device("cpu"))
    assert [query(ours, n, 4) for n in (20, 30)] == [query(theirs, n, 4) for n in (20, 30)]


def test_an_empty_pool_is_restored_empty():
    pool = ImagePool(3)
    pool.restore(pool.state(), torch.device("cpu"))
    assert pool.images == []


def test_a_pool_of_none_returns_images_as_they_are():
    assert query(ImagePool(0), 5, 4) == [5, 6, 7, 8]


def test_a_pool_keeps_what_it_was_given_whatever_becomes_of_it():
    pool, images = ImagePool(2), numbered(1, 2)
    pool.query(images, Noise(0, 2))
    images.zero_()
    assert kept(pool) == [1, 2]


def test_a_negative_size_is_refused():
    with pytest.raises(ConfigError, match="pool_size must be at least 0, got -1"):
        ImagePool(-1)


def test_a_smaller_pool_takes_what_fits_of_a_larger_one():
    larger, smaller, none = ImagePool(4), ImagePool(2), ImagePool(0)
    query(larger, 0, 4)
    for pool in (smaller, none):
        pool.restore(larger.state(), torch.device("cpu"))
    assert (kept(smaller), kept(none)) == ([0, 1], [])
