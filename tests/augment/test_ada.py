from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ganforge.augment.ada import ADA
from ganforge.augment.pipeline import AugmentationPipeline
from ganforge.augment.recolouring import apply_colours
from ganforge.augment.resampling import Resampler
from ganforge.augment.scheduled import ScheduledAugmentation
from ganforge.errors import ConfigError
from ganforge.regularizers.zero_centered import R1
from ganforge.streams import Noise
from tests.augment import chain
from tests.augment.pictures import pictures


def alone(value: torch.Tensor) -> torch.Tensor:
    """The mean over the one process there is."""
    return value


def step(ada: ADA, logits: list[float], finished: int, images: int = 10) -> None:
    """One step of training with so many images, after ``finished`` of them."""
    ada.observe(torch.tensor(logits))
    ada.adjust(images, (finished + 1) * images, alone)


# ---------------------------------------------------------------------- images


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_at_p_0_images_pass_untouched(channels):
    images, noise = pictures(3, channels), Noise(0, 3)
    assert ADA()(images, noise) is images
    torch.testing.assert_close(noise.normal(), Noise(0, 3).normal())  # nothing was drawn


def test_images_without_a_draw_stay_value_for_value():
    images = pictures(300)
    changed = AugmentationPipeline(0.1)(images, Noise(0, 300))
    same = (changed == images).flatten(1).all(1).float().mean().item()
    # Of six movements and five colors; a flip, a turn, a shift may be drawn and do nothing.
    nothing = 0.95 * 0.925 * (1 - 0.1 * 15 / 16) * 0.9**4 * 0.95 * 0.9**4
    assert same == pytest.approx(nothing, abs=0.06)
    assert not torch.equal(changed, images)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_keep_their_shape_and_precision(channels):
    images = pictures(4, channels)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        changed = AugmentationPipeline(1.0)(images.to(dtype), Noise(0, 4))
        assert changed.shape == images.shape
        assert changed.dtype == dtype
        assert changed.isfinite().all()


def test_autocast_changes_nothing():
    images = pictures(4)
    wanted = AugmentationPipeline(1.0)(images, Noise(0, 4))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(AugmentationPipeline(1.0)(images, Noise(0, 4)), wanted)


class Operations(TorchDispatchMode):
    """Counts operations that compute something, each a kernel on a GPU."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        self.count += not (func.is_view or "empty" in func.__name__)
        return func(*args, **(kwargs or {}))


def test_a_call_has_few_operations():
    """26 draws, two for each of 13 changes, and less than 100 operations on them."""
    augment, images = AugmentationPipeline(0.5), pictures(4)
    with Operations() as operations:
        augment(images, Noise(0, 4))
    assert 26 < operations.count <= 126


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_points_of_the_plane_are_refused(p):
    with pytest.raises(ConfigError, match=r"1 x 1 pixels cannot be moved. Use augment=none"):
        AugmentationPipeline(p)(torch.zeros(4, 2, 1, 1), Noise(0, 4))


def test_each_part_can_be_left_out():
    images, off = pictures(8), {"blit": False, "geometry": False, "colour": False}
    assert torch.equal(AugmentationPipeline(1.0, **off)(images, Noise(0, 8)), images)
    blitted = AugmentationPipeline(1.0, **off | {"blit": True})(images, Noise(0, 8))
    # Pixels are moved as they are: no value that was not there before.
    gaps = (blitted.flatten(1)[:, :, None] - images.flatten(1)[:, None]).abs().min(2).values
    assert gaps.max() < 1e-5
    assert not torch.equal(blitted, images)
    coloured = AugmentationPipeline(1.0, **off | {"colour": True})(
        torch.zeros(8, 3, 4, 4), Noise(0, 8)
    )
    assert (coloured.flatten(1).std(1) < 1e-6).all()


def test_gradients_pass_to_the_images_twice():
    images = pictures(1, side=3).double().requires_grad_()
    augment = AugmentationPipeline(1.0)
    assert torch.autograd.gradcheck(lambda x: augment(x, Noise(4, 1)), (images,))
    assert torch.autograd.gradgradcheck(lambda x: augment(x, Noise(4, 1)), (images,))


def test_a_penalty_sees_the_augmented_images():
    """R1 of D = |x|^2 / 2 at augmented images is half their squared length."""
    shown = AugmentationPipeline(1.0)(pictures(4), Noise(0, 4))
    penalty = R1().penalty(lambda x: x.flatten(1).square().sum(1) / 2, shown, shown, Noise(1, 4))
    torch.testing.assert_close(penalty, shown.flatten(1).square().sum(1).mean() / 2)


@pytest.mark.parametrize("size", [(8, 8), (9, 6)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_changed_by_the_papers_products_of_matrices(channels, size):
    images, p, noise = pictures(40, channels, 9)[:, :, : size[0], : size[1]], 0.6, Noise(3, 40)
    moves = [
        *chain.blit(noise, torch.tensor(p), *size),
        *chain.deform(noise, torch.tensor(p), *size),
    ]
    moved = Resampler()(images, chain.product(moves))
    colours = chain.product(chain.recolour(noise, p)[::-1])[:, :3]
    ours = AugmentationPipeline(0.6)(images, Noise(3, 40))
    torch.testing.assert_close(ours, apply_colours(moved, colours), atol=1e-5, rtol=1e-5)


def test_every_rank_takes_its_rows():
    images, augment = pictures(6), AugmentationPipeline(0.6)
    whole = augment(images, Noise(3, 6))
    parts = [augment(images[r::2], Noise(3, 3, rank=r, world=2)) for r in (0, 1)]
    torch.testing.assert_close(torch.stack(parts, 1).flatten(0, 1), whole)


def test_the_parts_of_a_batch_are_its_rows():
    images, augment = pictures(6), AugmentationPipeline(0.6)
    whole = augment(images, Noise(3, 6))
    pieces = [augment(*pair) for pair in zip(images.chunk(2), Noise(3, 6).split(2), strict=True)]
    torch.testing.assert_close(torch.cat(pieces), whole)


# ---------------------------------------------------------------------- p


def test_p_follows_the_sign_at_reals():
    ada = ADA(p=0.5, target=0.6, speed=1000, every=2)
    for finished in range(4):  # r = 1: twice up by 20 images of 1000
        step(ada, [1.0, 2.0, 0.1], finished)
    assert ada.p.item() == pytest.approx(0.54)
    assert ada.real_sign.item() == 1
    step(ada, [1.0, 1.0, -1.0, -1.0], 4)
    assert ada.p.item() == pytest.approx(0.54)  # in between nothing moves
    step(ada, [3.0, 1.0, -1.0, 1.0], 5)
    assert ada.real_sign.item() == pytest.approx(0.25)  # five of eight are right
    assert ada.p.item() == pytest.approx(0.52)
    assert ada.values()["p"] is ada.p
    assert set(ada.values()) == {"p", "real_sign"}


def test_p_stays_where_r_is_what_it_should_be():
    ada = ADA(p=0.3, target=0.5, speed=100, every=1)
    step(ada, [1.0, 1.0, 1.0, -1.0], 0)
    assert ada.p.item() == pytest.approx(0.3)


def test_several_critic_steps_count_together():
    ada = ADA(p=0.5, target=0.2, speed=100, every=1)
    ada.observe(torch.tensor([1.0, 1.0]))
    ada.observe(torch.tensor([-1.0, -1.0]))
    ada.adjust(10, 10, alone)
    assert ada.real_sign.item() == 0
    assert ada.p.item() == pytest.approx(0.4)


@pytest.mark.parametrize(("logit", "bound"), [(1.0, 1.0), (-1.0, 0.0)])
def test_p_stays_a_probability(logit, bound):
    ada = ADA(p=0.5, speed=20, every=1)
    for finished in range(3):
        step(ada, [logit], finished)
    assert ada.p.item() == bound


def test_without_speed_p_is_fixed():
    ada = ADA(p=0.2, speed=None, every=1)
    step(ada, [1.0], 0)
    assert ada.p.item() == pytest.approx(0.2)
    assert ada.real_sign.item() == 1


def test_processes_agree_on_the_mean():
    ranks = [ADA(p=0.5, speed=100, every=1) for _ in range(2)]
    for rank, logits in zip(ranks, ([1.0, 1.0], [1.0, -1.0]), strict=True):
        rank.observe(torch.tensor(logits))
    mean = torch.stack([rank.signs for rank in ranks]).mean(0)  # what a reduction returns
    for rank in ranks:
        rank.adjust(4, 4, lambda value: mean)
        assert rank.real_sign.item() == 0.5
        assert rank.p.item() == pytest.approx(0.46)


def test_a_resumed_p_continues_bit_identically():
    whole = ADA(speed=50, every=3)
    stopped = copy.deepcopy(whole)
    logits = [[1.0, 1.0], [1.0, -1.0], [1.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, 1.0]]
    images = pictures(4)
    for finished, values in enumerate(logits):
        step(whole, values, finished)
        if finished == 4:  # between two adjustments
            resumed = ADA(speed=50, every=3)
            resumed(images, Noise(0, 4))  # has looked at its p before the checkpoint is loaded
            resumed.load_state_dict(stopped.state_dict())
            stopped = resumed
            torch.testing.assert_close(stopped(images, Noise(1, 4)), whole(images, Noise(1, 4)))
        step(stopped, values, finished)
        assert torch.equal(stopped.p, whole.p)
    assert whole.p > 0
    for name, value in whole.state_dict().items():
        assert torch.equal(stopped.state_dict()[name], value), name


def test_p_is_only_read_when_it_may_have_fallen_to_0(monkeypatch):
    """Reading it from a GPU would wait for the GPU."""
    reads = []
    original = torch.Tensor.__float__
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: reads.append(1) or original(self))
    ada = ADA(p=0.5, speed=100, every=2)  # each adjustment is a fifth
    values, read = [], []
    for finished, sign in enumerate([1.0, 1.0, 1.0, 1.0, *[-1.0] * 10]):
        ada(torch.zeros(1, 1, 2, 2), Noise(0, 1))
        values.append(round(ada.p.item(), 1))
        read.append(len(reads))
        assert ada.phase() == (values[-1] == 0)
        step(ada, [sign], finished)
    assert values == [0.5, 0.5, 0.7, 0.7, 0.9, 0.9, 0.7, 0.7, 0.5, 0.5, 0.3, 0.3, 0.1, 0.1]
    # After the start, after the first adjustment, and again when four fifths may have gone.
    assert read == [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3]
    step(ada, [-1.0], 14)
    step(ada, [-1.0], 15)
    assert ada.phase()


def test_the_state_is_numbers_alone():
    assert set(ADA().state_dict()) == {"p", "real_sign", "tally"}


def test_a_schedule_is_a_cosine():
    augment = ScheduledAugmentation(0.1, 0.5, images=100)
    seen = {}
    for images_seen in (0, 25, 50, 100, 1000):
        augment.adjust(10, images_seen, alone)
        seen[images_seen] = augment.p.item()
    quarter = 0.1 + 0.4 * (1 - 0.5**0.5) / 2
    assert seen == pytest.approx({0: 0.1, 25: quarter, 50: 0.3, 100: 0.5, 1000: 0.5})
    assert augment.values() == {"p": augment.p}


def test_a_schedule_from_0_wakes_up():
    images, augment = pictures(8), ScheduledAugmentation(0.0, 1.0, images=10)
    assert augment(images, Noise(0, 8)) is images
    augment.adjust(10, 10, alone)
    assert not torch.equal(augment(images, Noise(0, 8)), images)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (ADA, {"p": 1.5}, r"ADA: p must be in \[0, 1\], got 1.5"),
        (ADA, {"target": 2.0}, r"target must be in \[-1, 1\]"),
        (ADA, {"speed": 0}, "speed must be at least 1 image or null, got 0"),
        (ADA, {"every": 0}, "every must be at least 1"),
        (ScheduledAugmentation, {"initial": -0.1}, r"initial must be in \[0, 1\]"),
        (ScheduledAugmentation, {"final": 1.1}, r"final must be in \[0, 1\]"),
        (ScheduledAugmentation, {"images": 0}, "images must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(kind, arguments, message):
    with pytest.raises(ConfigError, match=message):
        kind(**arguments)


def test_without_logits_p_stays():
    ada = ADA(p=0.5, speed=100, every=1)
    ada.adjust(8, 8, lambda value: value)
    assert ada.p.item() == 0.5
    assert ada.real_sign.item() == 0
