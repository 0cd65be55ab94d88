from __future__ import annotations

import math

import pytest
from scipy import stats

from ganforge.compare.statistics import holm, spread, two_sided, welch


def test_the_spread_is_that_of_a_sample():
    assert spread([1.0, 2.0, 6.0]) == (3, 3.0, math.sqrt(7.0))  # (4 + 1 + 9) / 2
    assert spread([4.0]) == (1, 4.0, None)
    assert spread([]).n == 0
    assert math.isnan(spread([]).mean)


def test_welch_by_hand():
    # Means 2 and 6, variances 1 and 4 of three each: t = -4 / sqrt(5 / 3) = -3.0984,
    # degrees = (5 / 3)^2 / ((1 / 9 + 16 / 9) / 2) = 50 / 17.
    test = welch(spread([1.0, 2.0, 3.0]), spread([4.0, 6.0, 8.0]))
    assert test.difference == -4.0
    assert test.t == pytest.approx(-4 / math.sqrt(5 / 3))
    assert test.degrees == pytest.approx(50 / 17)


# Quantiles from the printed table of Student's t: beyond them on either side are 5 and 1 percent.
@pytest.mark.parametrize(
    ("degrees", "t", "p"),
    [(1, 12.706, 0.05), (4, 2.776, 0.05), (10, 2.228, 0.05), (4, 4.604, 0.01), (30, 2.750, 0.01)],
)
def test_the_tails_are_those_of_the_printed_table(degrees, t, p):
    assert two_sided(t, degrees) == pytest.approx(p, rel=2e-3)
    assert two_sided(-t, degrees) == two_sided(t, degrees)


def test_one_degree_of_freedom_is_cauchys_distribution():
    for t in (0.0, 0.5, 1.0, 7.0):
        assert two_sided(t, 1) == pytest.approx(1 - 2 * math.atan(t) / math.pi)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([19.8, 20.4, 19.6, 17.8], [28.2, 26.6, 20.1, 23.3, 25.2, 22.1]),
        ([1.0, 2.0], [1.5, 9.0, 3.0]),
        ([3.0, 3.1, 2.9], [3.0, 4.0]),
    ],
)
def test_equal_to_scipy(first, second):
    theirs = stats.ttest_ind(first, second, equal_var=False)
    ours = welch(spread(first), spread(second))
    assert ours.t == pytest.approx(theirs.statistic, rel=1e-12)
    assert ours.degrees == pytest.approx(theirs.df, rel=1e-12)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)


def test_without_a_spread_there_is_no_test():
    assert welch(spread([1.0]), spread([2.0, 3.0])) is None
    assert welch(spread([1.0, 1.0]), spread([2.0, 2.0])) is None


def test_holms_example():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, and never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
