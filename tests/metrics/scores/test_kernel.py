import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from ganforge.errors import ConfigError
from ganforge.metrics.rows import RealAndFake
from ganforge.metrics.scores import kernel
from ganforge.metrics.scores.kernel import KernelDistance, draw_subsets, kernel_distances


def rows(n, width, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=generator, dtype=torch.float64) + seed / 4


def fidelity_subsets(n_real, n_fake, subsets, size, seed=2020):
    """The subsets that torch-fidelity draws, its first input being the real images."""
    draws = np.random.RandomState(seed)
    pairs = [
        [draws.choice(n, size, replace=False) for n in (n_real, n_fake)] for _ in range(subsets)
    ]
    return tuple(torch.tensor(np.array(side)) for side in zip(*pairs, strict=True))


# Few subsets are computed one by one, many from kernel values that they share.
@pytest.mark.parametrize(("subsets", "size"), [(3, 20), (40, 50), (2, 90)])
def test_the_same_subsets_have_the_value_of_torch_fidelity(subsets, size):
    real, fake = rows(110, 12, 1), rows(90, 12, 2)
    expected = kid_features_to_metric(
        real, fake, kid_subsets=subsets, kid_subset_size=size, rng_seed=2020, verbose=False
    )
    found = kernel_distances(real, fake, *fidelity_subsets(110, 90, subsets, size))
    mean, deviation = float(found.mean()), float(found.std(correction=0))
    assert mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-10)
    assert deviation == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-8)


def test_by_hand():
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    every = torch.tensor([[0, 1]])
    # Distinct pairs: k(0, 1) = 1 and k(0, 2) = 1, mixed ones 1, 1, 1 and (1 * 2 + 1)^3 = 27.
    expected = 1 + 1 - 2 * (1 + 1 + 1 + 27) / 4
    assert float(kernel_distances(real, fake, every, every)) == pytest.approx(expected)


def test_shared_kernel_values_and_chunks_change_nothing(monkeypatch):
    real, fake = rows(70, 5, 1), rows(60, 5, 2)
    chosen = draw_subsets(70, 60, 30, 25, seed=3)
    together = kernel_distances(real, fake, *chosen)
    alone = [
        kernel_distances(real[ours], fake[theirs], *(torch.arange(25)[None],) * 2)
        for ours, theirs in zip(*chosen, strict=True)
    ]
    assert torch.allclose(together, torch.cat(alone), rtol=1e-10)
    monkeypatch.setattr(kernel, "TILE", 7)
    assert torch.allclose(together, kernel_distances(real, fake, *chosen), rtol=1e-10)


def test_equal_distributions_are_about_nothing_apart_over_many_draws():
    generator = torch.Generator().manual_seed(0)
    values = torch.stack(
        [
            kernel_distances(
                *torch.randn(2, 30, 4, generator=generator), *(torch.arange(30)[None],) * 2
            )
            for _ in range(400)
        ]
    )
    # A biased estimate would be about 2 E k(x, x) / 30 = 0.5 too high, and positive always.
    standard_error = float(values.std()) / 20
    assert abs(float(values.mean())) < 3 * standard_error
    assert standard_error < 0.02
    assert bool((values < 0).any())


def test_order_and_blocks_change_nothing():
    real, fake = rows(80, 6, 1), rows(80, 6, 2)
    shuffled = real[torch.randperm(80, generator=torch.Generator().manual_seed(0))]

    def value(real, fake, block):
        score = KernelDistance()
        score.reset(6, 80, 80, torch.device("cpu"))
        for part in torch.split(fake, block):
            score.update(part, real=False)
        for part in torch.split(real, block):
            score.update(part, real=True)
        return score.compute().value

    assert value(real, fake, 80) == value(real, fake, 9)
    assert value(shuffled, fake, 80) == pytest.approx(value(real, fake, 80), rel=1e-10)
    assert value(fake, real, 80) == pytest.approx(value(real, fake, 80), rel=1e-10)


def test_subsets_are_those_of_torch_s_permutations():
    real, fake = draw_subsets(9, 7, 2, 3, seed=5)
    torch.manual_seed(5)
    for ours, theirs in zip(real, fake, strict=True):
        assert torch.equal(ours, torch.randperm(9)[:3])
        assert torch.equal(theirs, torch.randperm(7)[:3])


def test_one_image_is_refused():
    metric = RealAndFake()
    metric.update(real=torch.zeros(5, 2))
    metric.update(fake=torch.zeros(1, 2))
    with pytest.raises(ConfigError, match="needs at least 2 generated images, got 1"):
        metric.compute()


@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_a_common_offset_costs_no_precision(spread):
    draws = torch.Generator().manual_seed(0)
    common = 2 * torch.rand(512, generator=draws)
    real, fake = (common + spread * torch.randn(200, 512, generator=draws) for _ in range(2))
    every = torch.arange(200)[None]
    expected = kernel_distances(real.double(), fake.double() + 0.01, every, every)
    found = kernel_distances(real, (fake.double() + 0.01).float(), every, every)
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(float(expected), rel=1e-4)
    whole = torch.cat([real, fake + 0.01]).double() @ torch.cat([real, fake + 0.01]).double().T
    kernel = (whole / 512 + 1) ** 3
    own = [kernel[:200, :200], kernel[200:, 200:]]
    means = [(one.sum() - one.trace()) / (200 * 199) for one in own]
    assert float(expected) == pytest.approx(
        float(sum(means) - 2 * kernel[:200, 200:].mean()), rel=1e-4
    )
