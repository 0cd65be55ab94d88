from __future__ import annotations

import pytest

from ganforge.models.stylegan2 import LazyContext, lazy_updates
from ganforge.streams import Noise
from tests.regularizers.turns import context


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [([], 0), ([16], 1), ([4, 4], 1), ([2, 3], 4), ([4, 16], 4)],
)
def test_how_many_updates_a_period_has_for_penalties_alone(intervals, expected):
    """Of 2 and 3 they are 0, 2, 3 and 4 of every 6; 16 is a multiple of 4."""
    assert lazy_updates(intervals) == expected


def test_lazy_attributes_are_computed_once_on_first_access():
    at_hand, computed = context(Noise(0, 4)), []

    def logits():
        computed.append("logits")
        return at_hand.fake_logits + 1

    late = LazyContext(at_hand, {"fake_logits": logits})
    assert late.latents is at_hand.latents
    assert computed == []
    assert late.fake_logits is late.fake_logits
    assert computed == ["logits"]
    assert (late.fake_logits == at_hand.fake_logits + 1).all()


def test_lazy_attributes_can_depend_on_others():
    late = LazyContext(
        context(Noise(0, 4)),
        {"fake": lambda: late.fake_images * 2, "fake_images": lambda: late.real_images + 1},
    )
    assert (late.fake == 2 * (late.real_images + 1)).all()


def test_missing_attributes_raise_attribute_errors():
    late = LazyContext(context(Noise(0, 4)), {})
    with pytest.raises(AttributeError, match="logit"):
        _ = late.logit
