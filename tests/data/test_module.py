from itertools import islice

import pytest
import torch

from ganforge.data import stream
from ganforge.data.sets.digits import Digits
from ganforge.data.sets.fake import FakeImages
from ganforge.data.source import MemorySource, holdout
from ganforge.errors import ConfigError, DataError
from tests.data.stand_in import attach, first, joined


def fake(**changes):
    given = {"size": 50, "image_size": 8, "num_classes": 5, "batch_size": 8, "seed": 3}
    return FakeImages(**{**given, **changes})


def same(left, right):
    return all(torch.equal(left[key], right[key]) for key in ("image", "label"))


def test_a_batch_holds_bytes_and_labels():
    data = fake()
    attach(data)
    (batch,) = first(data, 1)
    assert batch["image"].shape == (8, 3, 8, 8)
    assert batch["image"].dtype == torch.uint8
    assert batch["label"].dtype == torch.int64
    data = fake(num_classes=0)
    attach(data)
    assert list(first(data, 1)[0]) == ["image"]


def test_the_stream_is_endless_and_shows_each_image_once_an_epoch():
    data = fake(size=48)
    attach(data)
    batches = first(data, 12)
    for epoch in (batches[:6], batches[6:]):
        seen = joined(epoch).flatten(1).tolist()
        assert len({tuple(image) for image in seen}) == 48
    assert not hasattr(data.train_dataloader(), "__len__")


@pytest.mark.parametrize("mirror", [False, True])
def test_workers_change_nothing(mirror):
    data, worked = fake(mirror=mirror), fake(mirror=mirror, workers=2)
    attach(data, critic_steps=[5, 2, 1])
    attach(worked, critic_steps=[5, 2, 1])
    pairs = list(zip(first(data, 5), first(worked, 5), strict=True))
    assert [len(left["image"]) for left, _ in pairs] == [40, 16, 8, 8, 8]
    assert all(same(left, right) for left, right in pairs)


def test_loading_draws_nothing_from_the_global_generator():
    data = fake(workers=1)
    attach(data)
    before = torch.random.get_rng_state()
    first(data, 2)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_resumes_with_the_next_batch(workers):
    data = fake(workers=workers, mirror=True)
    module = attach(data, critic_steps=3)
    whole = first(data, 6)
    loader = data.train_dataloader()  # requested before the checkpoint is loaded
    module.images_seen, module.iteration = 4 * 24, 4
    assert all(map(same, islice(loader, 2), whole[4:]))


def test_ranks_share_the_batch_of_one_process():
    data = fake(mirror=True)
    attach(data, critic_steps=2)
    alone = first(data, 3)
    shares = []
    for rank in (0, 1):
        attach(data, critic_steps=2, rank=rank, world=2)
        shares.append(first(data, 3))
    for step, batch in enumerate(alone):
        for rank in (0, 1):
            assert torch.equal(shares[rank][step]["image"], batch["image"][rank::2])


def test_a_batch_that_processes_cannot_share_is_refused():
    data = fake()
    attach(data, world=3)
    with pytest.raises(ConfigError, match="multiple of 3"):
        data.train_dataloader()


def test_flips_belong_to_positions_not_to_batches():
    small, large = fake(mirror=True), fake(mirror=True, batch_size=24)
    attach(small)
    attach(large)
    assert torch.equal(joined(first(small, 6)), joined(first(large, 2)))


def test_half_of_the_samples_are_flipped_and_another_half_in_the_next_epoch():
    plain, flipped = fake(size=400, batch_size=400), fake(size=400, batch_size=400, mirror=True)
    attach(plain)
    attach(flipped)
    masks = []
    for left, right in zip(first(plain, 2), first(flipped, 2), strict=True):
        mask = (left["image"] != right["image"]).flatten(1).any(1)
        assert torch.equal(left["image"][mask].flip(-1), right["image"][mask])
        assert 160 < mask.sum() < 240
        masks.append(mask)
    assert 0.4 < (masks[0] == masks[1]).float().mean() < 0.6


def test_seeds_change_the_order_and_reals_stay():
    one, two = fake(seed=1), fake(seed=2)
    attach(one)
    attach(two)
    assert not torch.equal(first(one, 1)[0]["image"], first(two, 1)[0]["image"])
    assert torch.equal(one.reals(9)[0], two.reals(9)[0])


def test_reals_are_slices_of_one_shuffled_order():
    data = fake(mirror=True)
    images, labels = data.reals(50)
    middle, middle_labels = data.reals(10, start=20)
    assert torch.equal(middle, images[20:30])
    assert torch.equal(middle_labels, labels[20:30])
    assert labels[:10].tolist() != sorted(labels[:10].tolist())
    assert len(data.reals(100)[0]) == data.size() == 50
    assert len(data.reals(100, "test")[0]) == data.size("test") == 12


def test_labels_come_in_the_order_of_the_reals_without_an_image():
    data = fake(mirror=True)
    assert torch.equal(data.real_labels(), data.reals(data.size())[1])


def test_fingerprints_tell_data_apart():
    plain = fake().fingerprint()
    assert plain == fake(seed=9, batch_size=2, mirror=True).fingerprint()
    others = [fake(size=49), fake(image_size=4), fake(channels=1), fake(num_classes=4)]
    prints = [plain, fake().fingerprint("test"), *(other.fingerprint() for other in others)]
    assert len(set(prints)) == len(prints)


def test_max_images_trains_on_the_first_reals():
    data = fake(max_images=16)
    attach(data)
    kept = {tuple(image) for image in fake().reals(16)[0].flatten(1).tolist()}
    assert {tuple(image) for image in joined(first(data, 2)).flatten(1).tolist()} == kept


def test_setup_is_idempotent():
    data = fake()
    data.setup("fit")
    source = data._sources["train"]
    data.setup()
    assert data._sources["train"] is source


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(DataError, match=r"batch_size=64 .* 50 training images .*batch_size=50"):
        fake(batch_size=64).setup()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 0}, "image_size must be an integer of at least 1, got 0"),
        ({"channels": 5}, "channels must be 1, 2, 3 or 4, got 5"),
        ({"num_classes": -1}, "num_classes must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"batch_size": 2.5}, "batch_size must be an integer"),
        ({"workers": -1}, "workers must be"),
        ({"max_images": 1}, "max_images must be"),
        ({"size": 1}, "size must be an integer of at least 2"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        fake(**changes)


def test_an_unknown_split_is_refused():
    with pytest.raises(ConfigError, match="split must be one of train, test, got 'val'"):
        fake().size("val")


def test_memory_stays_where_there_is_no_cuda():
    source = MemorySource(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))
    assert source.on(torch.device("cpu")) is source


def test_holdout_takes_each_class_by_its_share():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)[torch.randperm(100)]
    train, test = holdout(labels, 10)
    assert labels[test].bincount().tolist() == [6, 3, 1]
    assert torch.cat([train, test]).sort().values.tolist() == list(range(100))


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    pixels, targets = load_digits(return_X_y=True)
    data = Digits(image_size=8)
    assert (data.size("train"), data.size("test")) == (1500, 297)
    parts = [data.reals(1797, split) for split in ("train", "test")]
    images = torch.cat([part[0] for part in parts]).view(1797, 64)
    labels = torch.cat([part[1] for part in parts])
    expected = (torch.from_numpy(pixels) * 255 / 16).round().to(torch.uint8)
    rows = [*zip(labels.tolist(), images.tolist(), strict=True)]
    assert sorted(rows) == sorted(zip(targets.tolist(), expected.tolist(), strict=True))
    share = parts[1][1].bincount() / labels.bincount()
    assert (share - 297 / 1797).abs().max() < 0.01


def test_digits_are_enlarged_smoothly():
    small, large = Digits(image_size=8).reals(100)[0], Digits().reals(100)[0]
    assert large.shape == (100, 1, 32, 32)
    average = torch.nn.functional.avg_pool2d(large.float(), 4)
    assert (average - small.float()).abs().mean() < 12
    steps = (large[..., 1:].float() - large[..., :-1].float()).abs()
    assert steps.max() < 130  # nearest neighbors would jump by 255


@pytest.mark.parametrize(
    ("workers", "batch", "free", "processes", "fitting"),
    [
        (4, 10, None, 1, 4),  # macOS
        (4, 10_000_000, 64_000_000, 1, 2),
        (4, 60_000_000, 64_000_000, 1, 0),
        (4, 1_000_000, 64_000_000, 1, 4),
        (4, 1_000_000, 64_000_000, 8, 2),
        (4, 10, 0, 1, 0),
        (0, 10, 0, 1, 0),
    ],
)
def test_workers_have_room_in_shared_memory(workers, batch, free, processes, fitting):
    assert stream.fitting_workers(workers, batch, free, processes) == fitting


def test_small_shared_memory_warns_and_changes_no_batch(monkeypatch, caplog):
    monkeypatch.setattr(stream, "free_bytes", lambda: 100)
    data, worked = fake(mirror=True), fake(mirror=True, workers=2)
    attach(data)
    attach(worked)
    assert all(same(*pair) for pair in zip(first(data, 2), first(worked, 2), strict=True))
    (record,) = caplog.records
    assert "--shm-size=1g" in record.getMessage()
    assert "using no workers" in record.getMessage()
