import pytest
import torch

from ganforge.data.images import to_float
from ganforge.errors import ConfigError, DivergenceError
from ganforge.metrics import evaluate as module
from ganforge.metrics.real_features import RealFeatures
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.inception_score import InceptionScore
from ganforge.metrics.scores.kernel import KernelDistance
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images
from tests.support.forking import fork, wait

FAKES = noise_images(203, seed=1) // 2


def sample(n, start):
    return to_float(FAKES[start : start + n])


def scores():
    return {"fid": FrechetDistance(), "kid": KernelDistance(5, 50), "is": InceptionScore(3)}


def run(n=203, batch_size=50, sample=sample, data=None, **more):
    data = data or Pictures(noise_images(240), test=40)
    return evaluate(sample, data, Glance(), scores(), n, 0, batch_size, **more)


def values(results):
    return [(name, one.value, one.std) for name, one in results.items()]


def test_results_carry_name_and_protocol():
    results = run(n=150)
    assert list(results) == ["fid_glance", "kid_glance", "is_glance"]
    kid = results["kid_glance"].to_dict()
    assert kid.pop("value") == results["kid_glance"].value
    assert kid.pop("std") > 0
    assert kid == {
        "features": "glance-v1",
        "features_weights": "0",
        "n_real": 150,
        "n_fake": 150,
        "split": "train",
        "resize": "none",
        "subsets": 5,
        "subset_size": 50,
        "higher_is_better": False,
    }
    assert "std" not in results["fid_glance"].to_dict()
    assert results["is_glance"].n_real == 0
    assert results["is_glance"].higher_is_better


def test_a_score_equals_that_of_the_same_features_by_hand():
    extractor, images = Glance(), noise_images(200)
    metric = FrechetDistance()
    metric.reset(6, 200, 203, torch.device("cpu"))
    metric.update(extractor(images).features, real=True)
    metric.update(extractor(FAKES).features, real=False)
    result = run(data=Pictures(images), n_real=200)["fid_glance"]
    assert result.value == pytest.approx(metric.compute().value, rel=1e-12)


def test_the_batch_size_changes_nothing():
    assert values(run(batch_size=7)) == values(run(batch_size=203))


def test_the_data_against_itself_has_no_distance():
    images = noise_images(200)
    own = run(n=200, sample=lambda n, start: to_float(images[start : start + n]))
    assert own["fid_glance"].value == pytest.approx(0, abs=1e-9)


def test_fewer_real_images_than_requested_are_all_used():
    results = run(n=203)
    assert (results["fid_glance"].n_real, results["fid_glance"].n_fake) == (200, 203)
    assert run(split="test")["fid_glance"].n_real == 40
    assert run(n_real=60)["fid_glance"].n_real == 60


def test_shares_of_ranks_are_the_whole_in_order():
    for world in (2, 3, 7):
        shares = [range(*module.share_of(203, rank, world)) for rank in range(world)]
        assert [row for share in shares for row in share] == list(range(203))


def test_two_processes_find_what_one_finds(tmp_path):
    def work(rank):
        def child():
            torch.set_num_threads(1)
            torch.distributed.init_process_group(
                "gloo", init_method=f"file://{tmp_path}/meet", rank=rank, world_size=2
            )
            torch.save(values(run(rank=rank, world=2)), tmp_path / f"{rank}.pt")

        return child

    children = [fork(work(rank)) for rank in range(2)]
    assert [wait(pid) for pid in children] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first == second
    for (name, value, std), (_, whole, whole_std) in zip(first, values(run()), strict=True):
        assert value == pytest.approx(whole, rel=1e-9), name
        assert std == (None if whole_std is None else pytest.approx(whole_std, rel=1e-9))


def test_real_features_are_computed_once():
    data = Pictures(noise_images(200))
    reals = RealFeatures(data, Glance())
    first = run(data=data, reals=reals)
    assert data.read == 200
    assert values(run(data=data, reals=reals)) == values(first)
    assert data.read == 200
    run(data=data, reals=reals, n_real=100)
    assert data.read == 300


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    run()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("fault", [float("nan"), float("inf")])
def test_images_that_are_not_finite_are_refused(fault):
    def broken(n, start):
        images = sample(n, start)
        if start == 50:
            images[3, 0, 1, 1] = fault
        return images

    with pytest.raises(DivergenceError, match="1 generated images contain NaN or infinite"):
        run(sample=broken)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"n": 1}, "n must be at least 2 .* got 1"),
        ({"n": 3, "world": 4}, "one for each of 4 processes, got 3"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"data": Pictures(noise_images(1))}, "at least 2 real images, .* gives 1 of 1"),
        ({"data": Pictures(noise_images(9)), "split": "test"}, "split 'test' gives 0 of 0"),
    ],
)
def test_too_few_images_are_refused(more, message):
    with pytest.raises(ConfigError, match=message):
        run(**more)
