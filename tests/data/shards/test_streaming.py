"""Training streams over shards: exact from any position, with any processes."""

import pytest
import torch

from ganforge.data.order import Deal, Progress
from ganforge.data.sets.webdataset import WebDataset
from ganforge.data.stream import Batches, TrainingStream

from .tars import write_shards

BATCH = 6


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), [10, 7, 13, 10, 5])


def stream(urls, seen=0, workers=0, rank=0, world=1, in_memory=False):
    settings = {"image_size": 8, "shuffle": 12, "holdout": 0.0, "batch_size": BATCH}
    data = WebDataset(urls, seed=4, in_memory=in_memory, **settings)
    data.setup()
    progress = Progress(seen, seen // BATCH, lambda _: 1, rank, world)
    deal = Deal(BATCH, lambda: progress)
    return iter(TrainingStream(Batches(data.source_of("train"), 4, mirror=True), deal, workers))


def taken(batches, count):
    parts = [next(batches) for _ in range(count)]
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_resuming_in_the_middle_of_a_shard(urls, workers):
    """20 batches of 6 of 45 images in shards of 5 to 13: batch 9 starts inside of shards."""
    whole = taken(stream(urls), 20)
    rest = taken(stream(urls, seen=9 * BATCH, workers=workers), 11)
    assert same(rest, {key: value[9 * BATCH :] for key, value in whole.items()})


def test_ranks_share_the_images_of_one_process(urls):
    whole = taken(stream(urls, seen=4 * BATCH), 12)
    parts = [taken(stream(urls, seen=4 * BATCH, rank=rank, world=2), 12) for rank in (0, 1)]
    for key, value in whole.items():
        woven = torch.stack([part[key] for part in parts], 1).flatten(0, 1)
        assert torch.equal(woven, value)


def test_an_epoch_holds_each_image_once(urls):
    labels = taken(stream(urls), 15)["label"]  # 90 images: two epochs of 45
    assert labels[:45].bincount().tolist() == [15, 15, 15]


def test_images_in_memory_come_in_the_same_order(urls):
    assert same(taken(stream(urls, in_memory=True), 10), taken(stream(urls), 10))


def test_the_place_of_the_shards_does_not_matter(urls, tmp_path):
    write_shards(tmp_path / "moved" / "elsewhere", [10, 7, 13, 10, 5])
    moved = str(tmp_path / "moved" / "elsewhere" / "train-{000..004}.tar")
    assert same(taken(stream(moved), 10), taken(stream(urls), 10))
