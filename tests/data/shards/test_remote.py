"""Shards over HTTP: byte ranges, and copies in the cache."""

import time

import numpy as np
import pytest
import torch

from ganforge.data.files.encoded import UnreachableError
from ganforge.data.order import Deal, Progress
from ganforge.data.sets.webdataset import WebDataset
from ganforge.data.shards import remote
from ganforge.data.stream import Batches, TrainingStream
from ganforge.errors import DataError

from .serving import S3Handler, served
from .tars import pixels, samples, write_shards, write_tar

COUNTS = [6, 5, 7, 6]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "_FIRST_WAIT", 0.01)


@pytest.fixture
def shards(tmp_path):
    write_shards(tmp_path / "d", COUNTS)
    return tmp_path / "d"


def opened(urls, **settings):
    settings = {"in_memory": False, "holdout": 0.0, "batch_size": 2, "shuffle": 8} | settings
    data = WebDataset(urls, image_size=8, **settings)
    data.setup()
    return data


def copies(tmp_path):
    return sorted((tmp_path / "cache" / "shards").glob("*.copy.shard"))


def epoch(source, seed=1):
    order = source.order(seed)
    parts = [source.read(order.indices(range(at, at + 4))) for at in range(0, 24, 4)]
    return torch.cat(parts)


@pytest.mark.slow
def test_byte_ranges(shards, tmp_path):
    with served(shards) as (url, handler):
        data = opened(f"{url}/train-{{000..003}}.tar", shard_cache_gb=0)
        handler.asked.clear()
        images = data.source_of("train").read(torch.arange(24))
        for number, image in enumerate(images):
            assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels(number))
        assert len(handler.asked) == 24
        assert all("bytes=" in asked for asked in handler.asked)
    assert copies(tmp_path) == []
    assert data.class_names == ["0", "1", "2"]


def test_copies_change_the_speed_and_not_the_images(shards, tmp_path):
    local = epoch(opened(str(shards / "*.tar")).source_of("train"))
    with served(shards) as (url, handler):
        data = opened(f"{url}/train-{{000..003}}.tar")
        assert torch.equal(epoch(data.source_of("train")), local)
        deadline = time.monotonic() + 20
        while len(copies(tmp_path)) < 4 and time.monotonic() < deadline:
            epoch(data.source_of("train"))
        assert len(copies(tmp_path)) == 4
        handler.asked.clear()
        assert torch.equal(epoch(data.source_of("train")), local)
        assert handler.asked == []


@pytest.mark.slow
def test_copies_are_bounded(shards, tmp_path):
    """Room for two shards: those that are not expected make room for those that are."""
    size = max(path.stat().st_size for path in shards.iterdir())
    with served(shards) as (url, _):
        source = opened(f"{url}/train-{{000..003}}.tar", shuffle=1).source_of("train")
        downloads = source.entries.downloads
        downloads.most = 2 * size
        for wanted, held in (([0, 1], [0, 1]), ([2], [2]), ([3, 0], [3, 0]), ([1, 2, 3], [1, 3])):
            source.entries.obtain(wanted)
            assert sum(path.stat().st_size for path in copies(tmp_path)) <= 2 * size
            paths = {downloads.path(source.entries.shards[number]) for number in held}
            assert paths <= {*copies(tmp_path)}


def test_a_cache_that_is_too_small_is_refused(shards):
    with (
        served(shards) as (url, _),
        pytest.raises(
            DataError, match=r"data\.shuffle=24 reads up to .*set data\.shard_cache_gb=0"
        ),
    ):
        opened(f"{url}/train-{{000..003}}.tar", shuffle=24, shard_cache_gb=1e-6)


def test_images_in_memory_are_read_from_copies(shards, tmp_path):
    with served(shards) as (url, _):
        data = opened(f"{url}/train-{{000..003}}.tar", in_memory=True)
    assert len(copies(tmp_path)) == 4
    assert np.array_equal(data.source_of("train").images[3].permute(1, 2, 0).numpy(), pixels(3))


def test_a_server_that_fails_replaces_no_image(shards):
    with served(shards) as (url, handler):
        source = opened(f"{url}/train-{{000..003}}.tar", shard_cache_gb=0).source_of("train")
        handler.broken = True
        handler.asked.clear()
        with pytest.raises(UnreachableError, match=r"train-000\.tar cannot be read"):
            source.read(torch.tensor([0]))
        assert len(handler.asked) == 4
        assert source.unreadable == {}


def test_missing_shards_and_servers_without_ranges(shards):
    with served(shards) as (url, _), pytest.raises(DataError, match=r"none\.tar cannot be read"):
        opened(f"{url}/none.tar")
    with (
        served(shards, ranges=False) as (url, _),
        pytest.raises(DataError, match="supports no byte ranges"),
    ):
        opened(f"{url}/train-000.tar", shard_cache_gb=0)


def test_a_server_without_ranges_is_refused_before_it_sends_a_file(tmp_path):
    with open(tmp_path / "large.bin", "wb") as file:
        file.truncate(1 << 30)  # a sparse file
    sent = []
    with served(tmp_path, ranges=False) as (url, handler):

        def copied(_, source, output):
            while part := source.read(1 << 16):
                output.write(part)
                sent.append(len(part))

        handler.copyfile = copied
        reader = remote.Remote()
        with pytest.raises(UnreachableError, match="supports no byte ranges"):
            reader.read(f"{url}/large.bin", 5, 5)
        with pytest.raises(UnreachableError, match="supports no byte ranges"):
            reader.stream(f"{url}/large.bin")
    assert sum(sent) < 1 << 26  # what the sockets hold


def test_ranges_are_tested_once_per_host(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(range(9)))
    with served(tmp_path) as (url, handler):
        reader = remote.Remote()
        assert reader.read(f"{url}/a.bin", 2, 3) == bytes([2, 3, 4])
        assert reader.read(f"{url}/a.bin", 7, 1) == bytes([7])
    assert handler.asked == [f"/a.bin bytes={part}" for part in ("0-0", "2-4", "7-7")]


def test_a_changed_shard_is_indexed_again(shards):
    with served(shards) as (url, _):
        opened(f"{url}/train-000.tar")
        write_tar(shards / "train-000.tar", samples(range(50, 53)))
        data = opened(f"{url}/train-000.tar")
        image = data.source_of("train").read(torch.tensor([0]))[0]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels(50))


@pytest.mark.slow
@pytest.mark.parametrize("copied", [0, 50])
def test_workers_read_remote_shards(shards, copied):
    """Forked workers use neither the sessions nor the threads and locks of their parent."""

    def batches(urls, workers, seen=8):
        source = opened(urls, shard_cache_gb=copied).source_of("train")
        progress = Progress(seen, seen // 4, lambda _: 1)
        stream = iter(TrainingStream(Batches(source, 3), Deal(4, lambda: progress), workers))
        return torch.cat([next(stream)["image"] for _ in range(8)])

    local = batches(str(shards / "*.tar"), 0)
    with served(shards) as (url, _):
        assert torch.equal(batches(f"{url}/train-{{000..003}}.tar", 2), local)


@pytest.mark.slow
def test_s3(shards, tmp_path, monkeypatch):
    """Signed requests of s3fs, to a server that answers as S3 does."""
    (tmp_path / "root" / "bucket").mkdir(parents=True)
    shards.rename(tmp_path / "root" / "bucket" / "d")
    local = epoch(opened(str(tmp_path / "root" / "bucket" / "d" / "*.tar")).source_of("train"))
    with served(tmp_path / "root", base=S3Handler) as (url, _):
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(key, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        for copied in (0, 50):
            data = opened("s3://bucket/d/train-*.tar", shard_cache_gb=copied)
            assert torch.equal(epoch(data.source_of("train")), local)
        with pytest.raises(DataError, match="matches no shard"):
            opened("s3://bucket/e/*.tar")
