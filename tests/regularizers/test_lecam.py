from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.regularizers.lecam import LeCam
from ganforge.streams import Noise
from tests.regularizers.turns import context


def play(lecam: LeCam, real: list[float], fake: list[float], images_seen: int):
    """One update of the discriminator, whose logits are given."""
    logits = {"real_logits": torch.tensor(real), "fake_logits": torch.tensor(fake)}
    term = lecam.term(context(Noise(0, len(real)), images_seen=images_seen, **logits))
    lecam.settle()
    return term


def test_logits_keep_near_the_other_sides_anchor():
    lecam = LeCam(decay=0.9)
    assert play(lecam, [2.0, 4.0], [-1.0, -1.0], 0) is None
    assert lecam.anchors.tolist() == [3, -1]  # the first means
    term = play(lecam, [1.0, 3.0], [0.0, 2.0], 2)
    # ((1 + 1)^2 + (3 + 1)^2) / 2 + ((0 - 3)^2 + (2 - 3)^2) / 2
    assert term.item() == pytest.approx(10 + 5)
    assert lecam.anchors.tolist() == pytest.approx([0.9 * 3 + 0.1 * 2, 0.9 * -1 + 0.1 * 1])


def test_the_gradient_goes_to_the_logits_alone():
    lecam = LeCam()
    lecam.anchors = torch.tensor([2.0, -1.0])
    real, fake = (torch.tensor(v, requires_grad=True) for v in ([1.0, 3.0], [0.0, 2.0]))
    logits = {"real_logits": real, "fake_logits": fake}
    lecam.term(context(Noise(0, 2), images_seen=8, **logits)).backward()
    assert real.grad.tolist() == [2.0, 4.0]  # 2 (D - a) / B
    assert fake.grad.tolist() == [-2.0, 0.0]
    lecam.settle()
    assert not lecam.anchors.requires_grad


def test_before_it_starts_the_anchors_are_the_latest_means():
    lecam = LeCam(start_images=100)
    assert play(lecam, [5.0], [1.0], 0) is None
    assert play(lecam, [7.0], [3.0], 50) is None
    assert lecam.anchors.tolist() == [7, 3]
    assert play(lecam, [7.0], [3.0], 100).item() == pytest.approx(16 + 16)


def test_the_parts_of_a_batch_make_one_update():
    whole, parted = LeCam(decay=0.5), LeCam(decay=0.5)
    for images_seen in (0, 3):
        real, fake = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.0, -1.0, -5.0])
        play(whole, real.tolist(), fake.tolist(), images_seen)
        for part, rows in zip(Noise(0, 3).split(2), (slice(0, 2), slice(2, 3)), strict=True):
            logits = {"real_logits": real[rows], "fake_logits": fake[rows]}
            at_hand = context(Noise(0, 3), images_seen=images_seen)
            changed = {**vars(at_hand), **logits, "noise": part}
            parted.term(type(at_hand)(**changed))
        parted.settle()
        torch.testing.assert_close(parted.anchors, whole.anchors)


def test_without_a_term_the_anchors_stay():
    lecam = LeCam(every=2)
    play(lecam, [1.0], [0.0], 0)
    lecam.settle()  # after an update in which it was not due
    assert lecam.anchors.tolist() == [1, 0]


def test_the_anchors_are_saved():
    lecam, resumed = LeCam(), LeCam()
    play(lecam, [1.0], [-2.0], 0)
    resumed.load_state_dict(lecam.state_dict())
    assert resumed.anchors.tolist() == [1, -2]
    assert play(resumed, [3.0], [0.0], 9).item() == play(lecam, [3.0], [0.0], 9).item()
    assert set(lecam.state_dict()) == {"anchors"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": 1.0}, r"decay must be in \[0, 1\), got 1.0"),
        ({"start_images": -1}, "start_images must be at least 0, got -1"),
        ({"weight": -1.0}, "weight must be at least 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        LeCam(**arguments)
