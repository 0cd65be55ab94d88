from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.augment.ada import ADA
from ganforge.errors import ConfigError
from ganforge.models.cyclegan import ImagePool
from ganforge.networks.translator import DiscriminatorPair, TranslatorPair
from ganforge.networks.unet import UNetTranslator
from ganforge.regularizers.lecam import LeCam
from ganforge.streams import Noise
from tests.support import games
from tests.support.translations import BATCH, GREY, RGB, SIZE, TinyDomains, TinyPairs, cyclegan


class Shift(nn.Module):
    """Adds a constant: G(x) = x + c."""

    in_channels = out_channels = GREY
    multiple, stochastic = 1, False

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + self.shift


class Undecided(nn.Module):
    """Gives every patch the logit 0."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.new_zeros(len(images), 1, 2, 2) + 0 * images.mean()


def grey_game(forth: float, back: float, tmp_path, **changes):
    """G(x) = x + forth and F(y) = y + back between undecided discriminators."""
    model = cyclegan(
        generator=TranslatorPair(Shift(forth), Shift(back)),
        discriminator=DiscriminatorPair(Undecided(), Undecided()),
        discriminator_optimizer=lambda _: torch.optim.SGD([torch.zeros(1)], lr=0.1),
        **{"identity_weight": 0.5} | changes,
    )
    trainer = games.trainer_for(model, TinyDomains(channels=GREY), tmp_path, max_steps=1)
    model.trainer = trainer
    return model


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    shape = (BATCH, GREY, SIZE, SIZE)
    return {name: torch.rand(shape, generator=generator) - 0.5 for name in ("input", "image")}


# ---------------------------------------------------------------------- the objective


def test_the_objective_has_its_closed_form(tmp_path):
    model = grey_game(0.3, -0.1, tmp_path)
    loss = model.generator_loss(games.update("generator", batch(), Noise(0, BATCH)))
    # adversarial: (0 - 1)^2 in each domain; cycle: |x + .3 - .1 - x| both ways, lambda 10;
    # identity: |y + .3 - y| and |x - .1 - x|, each 0.5 lambda
    torch.testing.assert_close(loss, torch.tensor(2 * 1 + 2 * 10 * 0.2 + 5 * 0.3 + 5 * 0.1))


def test_each_cycle_has_a_weight_of_its_own(tmp_path):
    changes = {"input_cycle_weight": 3.0, "target_cycle_weight": 7.0, "adversarial_weight": 1.0}
    model = grey_game(0.3, -0.1, tmp_path, **changes)
    loss = model.generator_loss(games.update("generator", batch(), Noise(0, BATCH)))
    identity = 3.5 * 0.3 + 1.5 * 0.1  # G is held to targets, F to inputs
    torch.testing.assert_close(loss, torch.tensor(2 * 0.5 + (3 + 7) * 0.2 + identity))


def test_inverse_translators_have_no_cycle_loss(tmp_path):
    model = grey_game(0.4, -0.4, tmp_path, identity_weight=0.0)
    loss = model.generator_loss(games.update("generator", batch(), Noise(0, BATCH)))
    torch.testing.assert_close(loss, torch.tensor(2.0))


def test_discriminators_regress_one_and_zero(tmp_path):
    model = grey_game(0.3, -0.1, tmp_path)
    one = batch() | {"fake_target": batch()["image"], "fake_input": batch()["input"]}
    # 1/2 (0 - 1)^2 + 1/2 (0 - 0)^2 in each domain: the paper's, halved
    loss = model.discriminator_loss(games.update("discriminator", one, Noise(0, BATCH)))
    torch.testing.assert_close(loss, torch.tensor(1.0))


def test_an_identity_of_other_channels_is_refused():
    with pytest.raises(ConfigError, match="equal channels, got 1 and 3"):
        cyclegan(identity_weight=0.5)


def test_one_network_for_a_player_is_refused():
    with pytest.raises(ConfigError, match="needs two networks for each player, forth and back"):
        cyclegan(generator=UNetTranslator(SIZE, GREY, RGB, 4))


# ---------------------------------------------------------------------- one step


def test_every_image_is_generated_once_and_pooled(tmp_path):
    model, calls = cyclegan(), []
    for name in ("forth", "back"):
        network = getattr(model.generator, name)
        network.register_forward_hook(lambda _, given, out, name=name: calls.append(name))
    games.fit(model, tmp_path, data=TinyDomains(), max_steps=1)
    # there and back again, in both directions
    assert sorted(calls) == ["back"] * 2 + ["forth"] * 2
    assert [len(pool.images) for pool in model.pools.values()] == [BATCH, BATCH]
    assert model.pools["target"].images[0].shape == (RGB, SIZE, SIZE)
    assert model.pools["input"].images[0].shape == (GREY, SIZE, SIZE)


def test_discriminators_get_old_images_once_the_pool_is_full(tmp_path):
    model, shown = cyclegan(pool_size=4), []
    adversarial_discriminator_loss = model.adversarial_discriminator_loss

    def watched(update, domain, real, fake):
        if domain == "target":
            shown.append(fake.clone())
        return adversarial_discriminator_loss(update, domain, real, fake)

    model.adversarial_discriminator_loss = watched
    games.fit(model, tmp_path, data=TinyDomains(), max_steps=4)
    before = torch.cat(shown[:1]).flatten(1)
    later = torch.cat(shown[1:]).flatten(1)
    assert any(torch.equal(a, b) for a in before for b in later)


def test_each_discriminator_has_its_own_regularizers_and_augmentation(tmp_path):
    terms = {"lecam": LeCam(decay=0.5)}
    model = cyclegan(regularizers=terms, augment=ADA(0.5, speed=100, every=2))
    points = games.Points()
    games.fit(model, tmp_path, data=TinyDomains(), max_steps=4, logger=points)
    anchors = [model.regularizers[domain]["lecam"].anchors for domain in ("target", "input")]
    assert not torch.equal(*anchors)
    assert model.augment["target"].p is not model.augment["input"].p
    names = set(points.points[-1][1])
    assert {"augment/target_p", "augment/input_p", "discriminator/target_lecam"} <= names
    assert {"generator/input_cycle", "generator/target_adversarial"} <= names


def test_a_resumed_model_is_bit_identical_including_its_pools(tmp_path):
    whole, begun, resumed = (cyclegan() for _ in range(3))
    games.fit(whole, tmp_path / "whole", data=TinyDomains(), max_steps=6)
    trainer = games.fit(begun, tmp_path / "begun", data=TinyDomains(), max_steps=3)
    trainer.save_checkpoint(tmp_path / "begun.ckpt")
    resume = tmp_path / "begun.ckpt"
    games.fit(resumed, tmp_path / "resumed", data=TinyDomains(), max_steps=6, resume=resume)
    games.assert_equal(games.weights(resumed), games.weights(whole))
    for name, pool in whole.pools.items():
        assert torch.equal(pool.state(), resumed.pools[name].state())


# ---------------------------------------------------------------------- translating


def test_it_translates_both_ways_and_back():
    model = cyclegan(direction="BtoA").eval()
    x = torch.rand(2, GREY, SIZE, SIZE)
    assert model.directions == ("BtoA", "AtoB")
    there = model.translate(x)
    assert torch.equal(there, model.generator.forth(x))
    assert torch.equal(model.cycle(x), model.translate(there, "AtoB"))
    y = torch.rand(2, RGB, SIZE, SIZE)
    assert torch.equal(model.cycle(y, "AtoB"), model.translate(model.translate(y, "AtoB")))


def test_pairs_serve_it_too(tmp_path):
    games.fit(cyclegan(), tmp_path, data=TinyPairs(), max_steps=1)


# ---------------------------------------------------------------------- the pool


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


def test_the_pool_neither_loses_nor_invents_images():
    pool = ImagePool(4)
    shown = [number for first in range(0, 60, 3) for number in query(pool, first, 3)]
    # The first four are shown and kept; whatever else was asked is in the pool or was shown, once.
    assert sorted(shown + kept(pool)) == sorted([*range(60), *range(4)])


def test_half_of_the_images_are_exchanged_at_uniform_positions():
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


def test_a_restored_pool_continues_like_the_original():
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


def test_a_pool_copies_its_images():
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
