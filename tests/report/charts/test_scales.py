from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganforge.report.charts.scales import Scale, fits_log, log_ticks, short, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.3, 1.02, [0.4, 0.6, 0.8, 1.0]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (1900, 64100, [20_000, 40_000, 60_000]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (8, 1200, [10, 100, 1000]),
        (9, 150, [10, 30, 100]),
        (1.9, 40, [3, 10, 30]),
        (1.5, 12, [2, 5, 10]),
        (0.9e-8, 1.1, [1e-8, 1e-6, 1e-4, 1e-2, 1]),
        (3.2, 4.8, [3.5, 4, 4.5]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low, high, expected):
    assert log_ticks(low, high) == expected


FINITE = st.floats(-1.7e308, 1.7e308)


@given(st.lists(FINITE, min_size=1, max_size=5))
def test_an_axis_holds_whatever_is_finite(values):
    scale = Scale.over(values)
    places = [scale.position(value) for value in values]
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert len(scale.ticks()) <= 14
    order = sorted(range(len(values)), key=values.__getitem__)
    assert all(places[a] <= places[b] for a, b in pairwise(order))


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=5))
def test_a_logarithmic_axis_holds_whatever_is_positive(values):
    scale = Scale.over(values, log=True)
    assert all(-1e-9 <= scale.position(value) <= 1 + 1e-9 for value in values)
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks())
    assert len(scale.ticks()) <= 20


def test_equal_ratios_are_equal_lengths():
    scale = Scale(1, 10_000, log=True)
    assert [scale.position(value) for value in (1, 10, 100, 1000)] == pytest.approx(
        [0, 0.25, 0.5, 0.75]
    )
    assert [Scale(2, 6).position(value) for value in (2, 3, 6)] == [0, 0.25, 1]


def test_the_margin_is_a_share_of_the_length():
    scale = Scale.over([10.0, 110.0], margin=0.05)
    assert (scale.low, scale.high) == pytest.approx((5, 115))
    scale = Scale.over([1.0, 100.0], log=True, margin=0.5)
    assert (scale.low, scale.high) == pytest.approx((0.1, 1000))
    assert Scale.over([3.0]).position(3.0) == pytest.approx(0.5)


def test_which_values_are_worth_a_logarithm():
    assert fits_log([1.0, 20.0])
    assert not fits_log([1.0, 19.0])
    assert not fits_log([0.0, 500.0])
    assert not fits_log([-1.0, 500.0])
    assert not fits_log([])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1_200_000, "1.2M"),
        (500_000, "500k"),
        (-2e9, "-2G"),
        (0.02, "0.02"),
        (1e-5, "1e-05"),
    ],
)
def test_short_numbers(value, text):
    assert short(value) == text
