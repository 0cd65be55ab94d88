from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.losses.relativistic import RelativisticLoss
from ganforge.losses.wasserstein import WassersteinLoss
from ganforge.regularizers.top_k import TopK
from tests.support import games

LOGITS = torch.tensor([0.5, -3.0, 2.0, 0.0, -1.0, 7.0, 1.0, -2.0])


def test_k_falls_by_gamma_at_each_interval_down_to_its_floor():
    top = TopK(final_share=0.6, gamma=0.8, every_images=100)
    seen = [0, 99, 100, 199, 200, 299, 300, 10**9]
    assert [top.share(n) for n in seen] == pytest.approx([1, 1, 0.8, 0.8, 0.64, 0.64, 0.6, 0.6])


def test_the_authors_numbers():
    """After 69 epochs of CIFAR-10, 0.99^69 < 1/2."""
    top = TopK()
    assert top.share(68 * 50_000) == pytest.approx(0.99**68)
    assert top.share(69 * 50_000) == 0.5


@pytest.mark.parametrize(
    ("seen", "kept"), [(100, [0, 2, 3, 5, 6, 4]), (200, [0, 2, 5, 6]), (10**9, [2, 5])]
)
def test_the_largest_logits_are_selected(seen, kept):
    top = TopK(final_share=0.25, gamma=0.75, every_images=100)
    assert top.kept(LOGITS, 0) is None
    if seen == 200:  # 0.5625 * 8 = 4.5, rounded to even
        assert sorted(top.kept(LOGITS, seen).tolist()) == sorted(kept)
    assert set(top.kept(LOGITS, seen).tolist()) == set(kept)


def test_one_image_is_always_selected():
    assert TopK(final_share=0.01, gamma=0.1, every_images=1).kept(LOGITS[:2], 9).tolist() == [0]


def test_rejected_images_have_no_gradient():
    logits = LOGITS.clone().requires_grad_(True)
    rows = TopK(final_share=0.5, gamma=0.5, every_images=1).kept(logits, 1)
    WassersteinLoss().generator(logits[rows]).backward()
    assert logits.grad.tolist() == [-0.25, 0, -0.25, 0, 0, -0.25, -0.25, 0]


@pytest.mark.parametrize(("parts", "kept"), [(1, [8, 4, 2, 2]), (2, [4, 2, 1, 1])])
def test_the_generators_loss_gets_fewer_images_from_step_to_step(parts, kept, tmp_path):
    """Of 8 images a step; real images stay with the fakes they are paired with."""
    counts: list[int] = []

    class Counting(RelativisticLoss):
        def generator(self, fake_logits, real_logits=None):
            assert fake_logits.shape == real_logits.shape
            counts.append(len(fake_logits))
            return super().generator(fake_logits, real_logits)

    top = TopK(final_share=0.25, gamma=0.5, every_images=8)
    model = games.game(loss=Counting(), regularizers={"top_k": top}, accumulate=parts)
    games.fit(model, tmp_path, max_steps=4)
    # Images count as seen at the end of a step.
    assert counts == [k for k in kept for _ in range(parts)]


@pytest.mark.parametrize("value", [-0.5, 0, 1.1])
@pytest.mark.parametrize("name", ["final_share", "gamma"])
def test_refuses_shares(name, value):
    with pytest.raises(ConfigError, match=rf"{name} must be in \(0, 1\], got {value}"):
        TopK(**{name: value})


def test_refuses_an_empty_interval():
    with pytest.raises(ConfigError, match="every_images must be at least 1, got 0"):
        TopK(every_images=0)
