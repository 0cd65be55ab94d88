from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganforge.errors import ConfigError
from ganforge.schedules import Constant, CosineDecay, LinearDecay
from tests.support.properties import deterministic


def test_constant():
    assert [Constant()(step) for step in (0, 1, 10**6)] == [1, 1, 1]
    assert [Constant(warmup=4)(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_linear():
    decay = LinearDecay(total=10)
    assert [decay(step) for step in (0, 5, 9, 10, 99)] == pytest.approx([1, 0.5, 0.1, 0, 0])


def test_linear_with_start_final_and_warmup():
    decay = LinearDecay(total=10, start=6, final=0.2, warmup=2)
    assert [decay(step) for step in (0, 1, 6, 8, 10, 11)] == pytest.approx(
        [0.5, 1, 1, 0.6, 0.2, 0.2]
    )


def test_linear_begins_after_the_warmup():
    decay = LinearDecay(total=10, warmup=5)
    assert [decay(step) for step in (3, 4, 5, 6)] == pytest.approx([0.8, 1, 1, 0.8])


def test_cosine():
    decay = CosineDecay(total=12, final=0.1, warmup=4)
    quarter = 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2
    assert [decay(step) for step in (0, 4, 6, 8, 12, 50)] == pytest.approx(
        [0.25, 1, quarter, 0.55, 0.1, 0.1]
    )


@deterministic
@given(st.integers(1, 10_000), st.floats(0, 1), st.data())
def test_decays_fall_from_warmup_to_final(total, final, data):
    warmup = data.draw(st.integers(0, total - 1))
    start = data.draw(st.integers(0, total - 1))
    for decay in (CosineDecay(total, final, warmup), LinearDecay(total, start, final, warmup)):
        steps = sorted(data.draw(st.lists(st.integers(warmup, 2 * total), min_size=2)))
        factors = [decay(step) for step in steps]
        assert all(a >= b - 1e-12 for a, b in itertools.pairwise(factors))
        assert all(final - 1e-12 <= factor <= 1 for factor in factors)
        assert decay(total) == pytest.approx(final)
        assert decay(0) == pytest.approx(1 / warmup if warmup else 1)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Constant(warmup=-1), "warmup"),
        (lambda: LinearDecay(total=0), "total"),
        (lambda: LinearDecay(total=-1), "trainer.max_steps"),
        (lambda: LinearDecay(total=10, start=10), "start"),
        (lambda: LinearDecay(total=10, start=-1), "start"),
        (lambda: LinearDecay(total=10, final=1.5), "final"),
        (lambda: CosineDecay(total=10, final=-0.1), "final"),
        (lambda: CosineDecay(total=10, final=math.nan), "final"),
        (lambda: CosineDecay(total=10, warmup=10), "warmup"),
        (lambda: CosineDecay(total=-1), "total"),
    ],
)
def test_refuses_nonsense(make, argument):
    with pytest.raises(ConfigError, match=argument):
        make()
