from itertools import islice

import pytest
import torch

from ganforge.data.order import Deal, Order, Progress, check_divisible, uniforms
from ganforge.errors import ConfigError

_MASK = (1 << 64) - 1


def steps(deal, count):
    return [list(positions) for positions in islice(deal, count)]


def deal(batch_size, seen=0, iteration=0, critic_steps=lambda at: 1, rank=0, world=1, grown=None):
    growing = {} if grown is None else {"batch_size_at": grown}
    progress = Progress(seen, iteration, critic_steps, rank, world, **growing)
    return Deal(batch_size, lambda: progress)


def test_each_epoch_is_a_permutation_and_another_one():
    order = Order(10, seed=3)
    epochs = [order.indices(range(start, start + 10)).tolist() for start in (0, 10, 20)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    assert Order(10, seed=4).indices(range(10)).tolist() != epochs[0]


def test_indices_do_not_depend_on_the_requested_ranges():
    whole = Order(7, seed=0).indices(range(100))
    order = Order(7, seed=0)
    assert order.indices(range(50, 100)).tolist() == whole[50:].tolist()
    assert order.indices(range(0, 50)).tolist() == whole[:50].tolist()
    assert order.indices(range(3, 100, 4)).tolist() == whole[3::4].tolist()
    assert [order.indices(range(k, k + 1)).item() for k in range(100)] == whole.tolist()


def test_critic_steps_lengthen_a_step():
    first, then = 3, 1
    dealt = steps(deal(4, critic_steps=lambda at: first if at == 0 else then), 3)
    assert dealt == [list(range(12)), list(range(12, 16)), list(range(16, 20))]


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_ranks_together_see_what_one_process_sees(critic_steps):
    alone = steps(deal(6, critic_steps=lambda at: critic_steps), 4)
    ranks = [
        steps(deal(6, critic_steps=lambda at: critic_steps, rank=rank, world=2), 4)
        for rank in (0, 1)
    ]
    for step, (even, odd) in enumerate(zip(*ranks, strict=True)):
        assert [k for pair in zip(even, odd, strict=True) for k in pair] == alone[step]
        for c in range(critic_steps):  # each critic batch is shared evenly, one after the other
            batch = set(alone[step][c * 6 : c * 6 + 6])
            assert set(even[c * 3 : c * 3 + 3]) | set(odd[c * 3 : c * 3 + 3]) == batch


def test_a_start_in_the_middle_continues_the_same_order():
    critic_steps = [5, 5, 1, 1, 1, 2].__getitem__
    whole = steps(deal(4, critic_steps=critic_steps), 6)
    seen = sum(map(len, whole[:2]))
    assert steps(deal(4, seen, 2, critic_steps), 4) == whole[2:]


def shrinking(images_seen, batch_size):
    """Batches of 8 for 20 images, then of 4, then as set for the data."""
    return 8 if images_seen < 20 else 4 if images_seen < 30 else batch_size


def test_batch_sizes_that_change_with_the_images_seen():
    """Each is that of the step's start: 24 are past 20, and 32 past 30."""
    dealt = steps(deal(2, grown=shrinking), 7)
    assert [len(step) for step in dealt] == [8, 8, 8, 4, 4, 2, 2]
    assert [k for step in dealt for k in step] == list(range(36))


def test_a_start_among_changing_batch_sizes_continues_the_same_order():
    critic_steps = [2, 1, 1, 1, 1, 1].__getitem__
    whole = steps(deal(2, critic_steps=critic_steps, grown=shrinking), 6)
    for done in range(1, 6):
        seen = sum(map(len, whole[:done]))
        resumed = deal(2, seen, done, critic_steps, grown=shrinking)
        assert steps(resumed, 6 - done) == whole[done:]


def test_ranks_share_batches_of_changing_sizes():
    alone = steps(deal(2, grown=shrinking), 7)
    ranks = [steps(deal(2, rank=rank, world=2, grown=shrinking), 7) for rank in (0, 1)]
    for step, (even, odd) in enumerate(zip(*ranks, strict=True)):
        assert [k for pair in zip(even, odd, strict=True) for k in pair] == alone[step]


def test_a_later_batch_that_ranks_cannot_share_is_refused():
    dealt = iter(deal(6, grown=lambda seen, batch_size: 6 if seen < 6 else 5, world=3))
    assert next(dealt) == range(0, 6, 3)
    with pytest.raises(ConfigError, match="batch_size=5 counts"):
        next(dealt)


def test_the_start_is_read_when_iteration_begins():
    at = {"seen": 0}
    dealing = Deal(2, lambda: Progress(at["seen"], 0, lambda i: 1))
    at["seen"] = 8
    assert next(iter(dealing)) == range(8, 10)


@pytest.mark.parametrize(
    ("batch_size", "world", "nodes", "others", "devices"),
    [
        (64, 3, 1, [], 2),
        (50, 8, 1, [], 5),
        (1, 4, 1, [], 1),
        (12, 8, 2, [], 3),
        (12, 8, 2, [10], 1),
        (50, 4, 1, [16, 8], 2),
    ],
)
def test_an_uneven_split_names_the_devices_that_would_do(batch_size, world, nodes, others, devices):
    message = rf"multiple of {world}: use trainer\.devices={devices}$"
    with pytest.raises(ConfigError, match=message):
        check_divisible(batch_size, world, nodes, others)
    check_divisible(batch_size, nodes * devices, nodes)


def test_an_uneven_split_over_too_many_nodes_is_explained():
    with pytest.raises(ConfigError, match="multiple of 6: use fewer nodes"):
        check_divisible(10, 6, nodes=3)


def test_no_position_is_beyond_the_64_bits_of_an_index():
    far = 10**12
    assert sorted(Order(5, 0).indices(range(far, far + 5)).tolist()) == list(range(5))
    assert Order(5, 0).indices(range(far, far + 5)).dtype == torch.int64


def reference(seed: int, position: int) -> float:
    """Splitmix64 in Python's integers, which have no width."""
    state = (position * 0x9E3779B97F4A7C15 + seed) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    state ^= state >> 31
    return (state >> 11) / 2**53


def test_equals_the_generator_in_unbounded_integers():
    positions = torch.tensor([0, 1, 2, 12345, 2**40 + 7])
    for seed in (0, 3, 2**62 + 11):
        expected = [reference(seed, position) for position in positions.tolist()]
        assert uniforms(seed, positions).tolist() == expected


def test_uniform_and_uncorrelated():
    draws = uniforms(1, torch.arange(100_000))
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(draws.mean().item() - 1 / 2) < 0.005
    assert abs(draws.var().item() - 1 / 12) < 0.002
    assert abs(torch.corrcoef(torch.stack([draws[1:], draws[:-1]]))[0, 1].item()) < 0.01
