from __future__ import annotations

import pytest

from ganforge.models.engine.lazy_context import LazyContext
from ganforge.streams import Noise
from tests.regularizers.turns import context


def test_parts_are_made_when_they_are_looked_at_and_once():
    at_hand, made = context(Noise(0, 4)), []

    def logits():
        made.append("logits")
        return at_hand.fake_logits + 1

    late = LazyContext(at_hand, {"fake_logits": logits})
    assert late.latents is at_hand.latents
    assert made == []
    assert late.fake_logits is late.fake_logits
    assert made == ["logits"]
    assert (late.fake_logits == at_hand.fake_logits + 1).all()


def test_parts_may_be_made_of_others():
    late = LazyContext(
        context(Noise(0, 4)),
        {"fake": lambda: late.fake_images * 2, "fake_images": lambda: late.real_images + 1},
    )
    assert (late.fake == 2 * (late.real_images + 1)).all()


def test_what_a_turn_has_not_it_has_not():
    late = LazyContext(context(Noise(0, 4)), {})
    with pytest.raises(AttributeError, match="logit"):
        _ = late.logit
