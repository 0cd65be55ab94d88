import torch

from ganforge.data.draws import uniforms

_MASK = (1 << 64) - 1


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
