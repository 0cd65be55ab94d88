import logging

import pytest
import torch
from scipy import stats

from ganforge.callbacks.evaluation import Evaluation
from ganforge.data.images import to_float
from ganforge.errors import ConfigError
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.memorization import (
    DataCopying,
    Memorization,
    data_copying,
    nearest_distances,
    share_below_median,
)
from ganforge.metrics.scores.score import ranked
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images
from tests.support.forking import fork, wait

CPU = torch.device("cpu")


def blends(n, seed):
    """Images of one distribution with structure: a few patterns, mixed at random, and noise."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    mixed = torch.randn(n, 3, generator=generator) @ patterns
    mixed += 0.3 * torch.randn(n, 16, generator=generator)
    return (128 + 25 * mixed).clamp(0, 255).to(torch.uint8).view(n, 1, 4, 4)


DATA = Pictures(blends(400, 1), test=150)
FRESH, COPIES = blends(200, 2), DATA.images[:200]


def scored(images, data=DATA, n=200, **more):
    scores = {"memorization": Memorization(), "data_copying": DataCopying()}
    for score in scores.values():
        assert score.prepare(data, Glance(), CPU)
    sample = lambda count, start: to_float(images[start : start + count])  # noqa: E731
    return evaluate(sample, data, Glance(), scores, n, 0, 64, **more)


def values(results):
    return [result.value for result in results.values()]


# ---------------------------------------------------------------------- distances


def test_the_nearest_of_hand_chosen_points():
    others = torch.tensor([[0.0, 0.0], [3.0, 4.0], [10.0, 0.0]])
    rows = torch.tensor([[3.0, 0.0], [3.0, 4.0], [11.0, 1.0]])
    expected = torch.tensor([3.0, 0.0, 2.0**0.5], dtype=torch.float64)
    assert torch.allclose(nearest_distances(rows, others), expected)


def test_distances_are_exact_far_from_the_origin():
    # Float32 products of such rows lose all digits of their differences.
    others = torch.randn(300, 20, generator=torch.Generator().manual_seed(0)) + 1000
    rows = others[:50].clone()
    rows[:, 0] += 0.125
    exact = torch.cdist(rows.double(), others.double(), compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.allclose(nearest_distances(rows, others), exact.amin(1), rtol=1e-12)
    assert nearest_distances(others, others).max() == 0


def test_chunks_change_nothing(monkeypatch):
    rows, others = (torch.randn(n, 5, generator=torch.Generator().manual_seed(n)) for n in (40, 90))
    whole = nearest_distances(rows, others)
    monkeypatch.setattr("ganforge.metrics.scores.memorization.CHUNK", 270)
    assert torch.allclose(nearest_distances(rows, others), whole, rtol=1e-12)


# ---------------------------------------------------------------------- statistics


def test_shares_below_the_median_of_hand_chosen_distances():
    held_out = torch.tensor([1.0, 2.0, 3.0])
    assert share_below_median(torch.tensor([0.0, 1.0, 5.0, 6.0]), held_out) == 0.5
    assert share_below_median(torch.zeros(4), held_out) == 1
    assert share_below_median(torch.tensor([2.0, 2.0, 9.0, 9.0]), held_out) == 0.25  # ties: half
    assert share_below_median(held_out, held_out) == 0.5


def test_the_statistic_is_that_of_mann_and_whitney():
    # By hand: the pairs (fake, held out) with fake above are 3 of 6. n m (n + m + 1) / 12 = 3.
    fake, held_out = torch.tensor([1.0, 4.0, 5.0]), torch.tensor([2.0, 4.5])
    assert data_copying(fake, held_out) == pytest.approx(0.0)
    assert data_copying(fake + 10, held_out) == pytest.approx(3 / 3**0.5)
    assert data_copying(fake - 10, held_out) == pytest.approx(-3 / 3**0.5)


def test_the_statistic_equals_scipys():
    fake, held_out = (torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (60, 45))
    found = stats.mannwhitneyu(
        fake.numpy(), held_out.numpy() + 0.3, use_continuity=False, method="asymptotic"
    )
    z = data_copying(fake, held_out + 0.3)
    assert torch.special.erfc(torch.tensor(abs(z) / 2**0.5)).item() == pytest.approx(
        float(found.pvalue), rel=1e-6
    )


def test_the_statistic_is_a_standard_normal_without_copies():
    draws = torch.Generator().manual_seed(0)
    found = torch.tensor(
        [
            data_copying(torch.rand(40, generator=draws), torch.rand(60, generator=draws))
            for _ in range(2000)
        ]
    )
    assert abs(float(found.mean())) < 3 / 2000**0.5
    assert float(found.std()) == pytest.approx(1, abs=0.05)


# ---------------------------------------------------------------------- scores


def test_copies_are_distinguished_from_new_and_from_poor_images():
    fresh, copies, poor = (values(scored(i)) for i in (FRESH, COPIES, noise_images(200, 5)))
    assert 0.4 < fresh[0] < 0.6
    assert abs(fresh[1]) < 3
    assert copies[0] == 1
    assert copies[1] < -10
    assert poor[0] < 0.1
    assert poor[1] > 10


def test_more_copies_make_for_more_memorization():
    found = []
    for copied in (0, 50, 100, 200):
        images = FRESH.clone()
        images[:copied] = COPIES[:copied]
        found.append(values(scored(images)))
    assert found == sorted(found, key=lambda pair: (pair[0], -pair[1]))
    assert found[0][0] < found[1][0] < found[3][0]
    assert found[0][1] > found[1][1] > found[2][1] > found[3][1]


def test_all_training_images_are_compared_with_however_many_reals_others_take():
    found = scored(DATA.images[100:250], n=150, n_real=20)
    assert values(found)[0] == 1
    details = found["data_copying_glance"].details
    assert (details["n_train"], details["n_held_out"]) == (250, 150)


def test_neither_order_nor_batches_matter():
    order = torch.randperm(200, generator=torch.Generator().manual_seed(3))
    assert values(scored(FRESH[order])) == pytest.approx(values(scored(FRESH)), rel=1e-12)


def test_two_processes_find_what_one_finds(tmp_path):
    def work(rank):
        def child():
            torch.set_num_threads(1)
            torch.distributed.init_process_group(
                "gloo", init_method=f"file://{tmp_path}/meet", rank=rank, world_size=2
            )
            torch.save(values(scored(FRESH, n=199, rank=rank, world=2)), tmp_path / f"{rank}.pt")

        return child

    children = [fork(work(rank)) for rank in range(2)]
    assert [wait(pid) for pid in children] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first == second == pytest.approx(values(scored(FRESH, n=199)), rel=1e-12)


def test_data_without_a_test_split_are_not_scored(caplog):
    with caplog.at_level(logging.WARNING, logger="ganforge"):
        assert not Memorization().prepare(Pictures(noise_images(9)), Glance(), CPU)
    assert "NO memorization in this run: data 'pictures' has no test split" in caplog.text


@pytest.mark.parametrize("name", ["max_train", "max_held_out"])
def test_bad_values_are_refused(name):
    with pytest.raises(ConfigError, match=f"data_copying: {name} must be at least 2, got 1"):
        DataCopying(**{name: 1})


def test_scores_without_a_better_value_select_no_checkpoint():
    metrics = {"memorization": Memorization(), "data_copying": DataCopying()}
    assert ranked(metrics) == []
    fid = FrechetDistance()
    assert ranked(metrics | {"fid": fid}) == ["fid"]
    assert Evaluation(None, metrics | {"fid": fid}).monitor == "fid"
    assert Evaluation(None, metrics).monitor is None
    with pytest.raises(ConfigError, match="monitor must be one of fid, got 'memorization'"):
        Evaluation(None, metrics | {"fid": fid}, monitor="memorization")
    assert "higher_is_better" not in scored(FRESH)["memorization_glance"].to_dict()
