from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganforge.streams import Noise, Stream, Substream, mix, split_rows
from tests.support.properties import deterministic

DRAWS = {
    "normal": lambda noise: noise.normal(3),
    "uniform": lambda noise: noise.uniform(1, 1, 1),
    "integers": lambda noise: noise.integers(1000, 2),
    "no shape": lambda noise: noise.uniform(),
}
kinds = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


def test_mix_is_pinned():
    """The hash must not change: resumed runs and published numbers depend on it."""
    assert mix(0) == mix(0)
    assert [mix(), mix(0), mix(1, 2, 3)] == [0, 8147104208329303767, 7510213797696614745]


@deterministic
@given(st.lists(st.integers(-(2**70), 2**70), max_size=4))
def test_mix_gives_legal_seeds(keys):
    assert 0 <= mix(*keys) < 2**63
    torch.Generator().manual_seed(mix(*keys))


def test_mix_spreads():
    """No two of 10,000 neighboring counters collide, and every bit is set about half the time."""
    seeds = [mix(seed, step) for seed in range(100) for step in range(100)]
    assert len(set(seeds)) == len(seeds)
    for bit in range(63):
        share = sum(seed >> bit & 1 for seed in seeds) / len(seeds)
        assert share == pytest.approx(0.5, abs=0.03)


def test_mix_knows_the_order_and_number_of_keys():
    assert len({mix(1, 2), mix(2, 1), mix(1), mix(1, 2, 0), mix(0, 1, 2)}) == 5


@kinds
def test_the_same_seed_draws_the_same(draw):
    assert torch.equal(draw(Noise(7, 4)), draw(Noise(7, 4)))
    assert not torch.equal(draw(Noise(7, 4)), draw(Noise(8, 4)))


@kinds
@pytest.mark.parametrize("world", [2, 3])
def test_ranks_interleave_to_the_draw_of_one_process(draw, world):
    whole = draw(Noise(7, 6 * world))
    for rank in range(world):
        share = draw(Noise(7, 6, rank=rank, world=world))
        assert torch.equal(share, whole[rank::world])


@kinds
@pytest.mark.parametrize("parts", [1, 2, 3, 4, 7])
def test_pieces_concatenate_to_the_whole(draw, parts):
    """Also for later draws, and if the number of ranks does not divide the batch size."""
    whole, pieces = Noise(7, 7, rank=1, world=2), Noise(7, 7, rank=1, world=2).split(parts)
    assert sum(piece.rows for piece in pieces) == 7
    for _ in range(2):
        assert torch.equal(torch.cat([draw(piece) for piece in pieces]), draw(whole))


def test_pieces_match_the_rows_of_a_batch():
    batch = Noise(7, 10).normal(2)
    for rows, piece in zip(split_rows(batch, 4), Noise(7, 10).split(4), strict=True):
        assert torch.equal(rows, piece.normal(2))


def test_draws_follow_each_other():
    noise = Noise(7, 4)
    assert not torch.equal(noise.normal(2), noise.normal(2))


def test_distributions():
    noise = Noise(1, 20_000)
    normal, uniform, integers = noise.normal(), noise.uniform(), noise.integers(10)
    assert normal.mean().item() == pytest.approx(0, abs=0.03)
    assert normal.std().item() == pytest.approx(1, abs=0.03)
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.01)
    assert 0 <= uniform.min() <= uniform.max() < 1
    assert integers.unique().tolist() == list(range(10))


def test_the_global_generator_is_not_changed():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Noise(7, 4).normal(2)
    assert torch.equal(before, torch.get_rng_state())


def test_streams_keep_their_numbers_and_share_none():
    """Draws are equal in all versions: the number of a stream is never reused."""
    assert {stream.name: stream.value for stream in Stream} == {
        "TRAINING": 1,
        "SAMPLING": 2,
        "LAYERS": 3,
        "TRANSLATING": 4,
        "POOLS": 5,
        "PLACES": 6,
        "SCORES": 0x5C02E,
        "COLLAPSE": 0xC011A,
        "BOOTSTRAP": 0x626F6F74,
        "PAIRS": 0x70616972,
        "MIRROR": 0x6D6972726F72,
        "TOP": 0x746F70,
        "LEFT": 0x6C656674,
        "DOMAIN": 0x646F6D61696E,
        "STACKED": 0x737461636B,
        "CONSTANT_NOISE": 0x6E6F697365,
    }
    assert {stream.name: stream.value for stream in Substream} == {"LAZY": 4, "ENDS": 5}
    assert len({mix(0, stream) for stream in Stream}) == len(Stream)
    assert mix(3, Stream.SAMPLING, 1) == mix(3, 2, 1)


# ---------------------------------------------------------------------- other devices


@kinds
def test_portable_draws_are_those_of_the_cpu(draw):
    noise = Noise(7, 6, rank=1, world=2, portable=True)
    assert torch.equal(draw(noise), draw(Noise(7, 6, rank=1, world=2)))
    # "meta" has no generator: what is returned there was drawn on the CPU.
    far = Noise(7, 6, "meta", 1, 2, portable=True)
    for one in (far, far.fork(), far.restarted(), *far.split(2)):
        drawn = draw(one)
        assert drawn.device.type == "meta"
        assert one._generator.device.type == "cpu"
        assert len(drawn) == one.rows
    with pytest.raises(RuntimeError, match=r"(?i)meta"):
        Noise(7, 6, "meta")
