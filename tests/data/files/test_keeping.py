"""Decoded images in a file of the cache."""

import os
import pickle
import signal
import time
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.cores import Cores
from ganforge.data.files import filling, keeping
from ganforge.data.files.cached import CachedSource
from ganforge.data.files.pixel_file import PixelFile
from ganforge.data.files.source import FileSource
from ganforge.data.sets.folder import ImageFolder
from ganforge.errors import ConfigError, DamagedError, DataError
from ganforge.metrics.cache_folder import clear, entries
from tests.data.drawings import save
from tests.data.stand_in import attach, first, joined
from tests.support.disk import full
from tests.support.forking import fork, wait

COUNT = 30
BAD = (0, 11, 12, 29)


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def photos(tmp_path):
    """Labelled images of different sizes; some are unreadable."""
    noise = np.random.default_rng(0)
    for i in range(COUNT):
        size = (9 + i % 4, 12, 3)
        image = Image.fromarray(noise.integers(0, 256, size, dtype=np.uint8))
        save(tmp_path / "photos" / "ab"[i % 2] / f"{i:02}.png", image)
    for i in BAD:
        (tmp_path / "photos" / "ab"[i % 2] / f"{i:02}.png").write_bytes(b"damaged")
    return tmp_path / "photos"


def folder(path, **changes):
    given = {"image_size": 8, "batch_size": 6, "holdout": 0, "workers": 0, "mirror": True}
    given |= {"in_memory": False, "cache": True}
    return ImageFolder(str(path), **(given | changes))


def decoded(path, **changes):
    data = folder(path, **changes)
    attach(data)
    data.decode_once()
    return data


def source_of(data):
    data.setup()
    return data._sources["train"]


def no_decoding(*_):
    raise AssertionError("an image is decoded")


# ---------------------------------------------------------------------- the same images


def same(left, right):
    return all(torch.equal(left[key], right[key]) for key in ("image", "label"))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_decoding_on_every_read(photos, monkeypatch, workers):
    plain = folder(photos, cache=False)
    attach(plain, critic_steps=2)
    expected = first(plain, 8)
    data = decoded(photos, workers=workers)
    module = attach(data, critic_steps=2)
    monkeypatch.setattr(FileSource, "decode", no_decoding)
    loader = data.train_dataloader()  # requested before the checkpoint is loaded
    assert all(map(same, islice(loader, 8), expected))
    module.images_seen, module.iteration = 3 * 12, 3
    assert all(map(same, islice(data.train_dataloader(), 5), expected[3:]))
    for rank in (0, 1):
        attach(data, critic_steps=2, rank=rank, world=2)
        for share, batch in zip(first(data, 3), expected, strict=False):
            assert torch.equal(share["image"], batch["image"][rank::2])
            assert torch.equal(share["label"], batch["label"][rank::2])


def test_scores_and_resumptions_see_no_difference(photos):
    plain, data = folder(photos, cache=False), decoded(photos)
    plain.setup()
    assert data.fingerprint() == plain.fingerprint()
    assert data.identity() == plain.identity()
    assert torch.equal(data.real_labels(), plain.real_labels())
    assert all(map(torch.equal, data.reals(COUNT), plain.reals(COUNT)))


@pytest.mark.parametrize("holdout", [0, 0.2])
def test_images_in_memory_are_those_without_a_cache(photos, monkeypatch, holdout):
    given = {"in_memory": True, "holdout": holdout, "max_images": 20}
    plain = folder(photos, cache=False, **given)
    plain.setup()
    folder(photos, **given).setup()
    monkeypatch.setattr(filling, "fill", no_decoding)
    monkeypatch.setattr(FileSource, "decoded", no_decoding)
    data = folder(photos, **given)
    for split in ("train", "test") if holdout else ("train",):
        assert data.size(split) == plain.size(split)
        assert all(map(torch.equal, data.reals(COUNT, split), plain.reals(COUNT, split)))
    assert data.fingerprint() == plain.fingerprint()


def test_several_processes_decode_the_same(photos, monkeypatch):
    expected = source_of(folder(photos, cache=False)).read(torch.arange(COUNT))
    monkeypatch.setattr(filling, "_EACH", 1)
    monkeypatch.setattr(filling, "_BLOCK", 4)
    monkeypatch.setattr(Cores, "find", lambda: Cores(2, "cores"))
    before = torch.random.get_rng_state()
    data = decoded(photos)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert source_of(data).is_open
    assert torch.equal(source_of(data).read(torch.arange(COUNT)), expected)


def test_another_process_opens_the_file_again(photos, kept):
    source = source_of(decoded(photos))
    expected = source.read_labelled(torch.arange(COUNT))
    sent = pickle.dumps(source)
    assert len(sent) < 20_000
    assert pickle.loads(sent).is_open
    assert all(map(torch.equal, pickle.loads(sent).read_labelled(torch.arange(COUNT)), expected))
    clear("images")
    assert not pickle.loads(sent).is_open  # decodes
    assert all(map(torch.equal, pickle.loads(sent).read_labelled(torch.arange(COUNT)), expected))
    assert all(map(torch.equal, source.read_labelled(torch.arange(COUNT)), expected))


# ---------------------------------------------------------------------- one file for equal images


def test_the_next_run_decodes_nothing(photos, monkeypatch, caplog):
    decoded(photos)
    (entry,) = entries("images")
    assert entry.size > COUNT * 3 * 8 * 8
    assert entry.path.name.startswith("folder-8px-")
    os.utime(entry.path, (1, 1))
    caplog.clear()
    monkeypatch.setattr(keeping, "fill", no_decoding)
    data = folder(photos, seed=5, batch_size=4)
    assert source_of(data).is_open  # also without decode_once
    assert sorted(record.args[0] for record in caplog.records) == sorted(
        f"{'ab'[i % 2]}/{i:02}.png" for i in BAD
    )
    assert entries("images")[0].age < 60  # used recently
    assert clear("images")[0].path == entry.path
    assert not source_of(folder(photos)).is_open


@pytest.mark.parametrize("change", ["size", "channels", "time", "pixels", "images", "crop"])
def test_other_pixels_have_a_file_of_their_own(photos, change):
    path = photos / "b" / "01.bmp"
    save(path, Image.open(path.with_suffix(".png")))
    path.with_suffix(".png").unlink()
    decoded(photos)
    given = {}
    if change == "size":
        given = {"image_size": 10}
    elif change == "channels":
        given = {"channels": 1}
    elif change == "images":
        given = {"max_images": 20}
    elif change == "time":
        os.utime(path, ns=(2, 2))
    elif change == "pixels":
        stamp = path.stat().st_mtime_ns
        path.write_bytes(path.read_bytes()[:-300] + bytes(300))
        os.utime(path, ns=(stamp, stamp))
    data = folder(photos, **given)
    if change == "crop":
        data.source = lambda *given, **more: FileSource(given[0], given[1], 8, 3, given[2], crop=7)
    assert not source_of(data).is_open
    data.decode_once()
    assert len(entries("images")) == 2


def test_a_copy_of_the_images_uses_the_same_file(photos, tmp_path):
    decoded(photos)
    photos.rename(tmp_path / "elsewhere")
    assert source_of(folder(tmp_path / "elsewhere")).is_open


# ---------------------------------------------------------------------- faults


def test_more_unreadable_images_than_allowed_are_an_error(photos, kept, monkeypatch):
    monkeypatch.setattr(ImageFolder, "_warn_if_uniform", lambda *_: None)  # reads images
    with pytest.raises(DataError, match=r"(?s)^more than max_unreadable=2 .* of 30:.*00\.png"):
        decoded(photos, max_unreadable=2)
    assert [*kept.iterdir()] == []
    decoded(photos)
    with pytest.raises(DataError, match=r"^more than max_unreadable=2 "):
        folder(photos, max_unreadable=2).setup()


@pytest.mark.parametrize("damage", ["short", "shorter", "footer", "empty"])
def test_a_damaged_file_is_decoded_again(photos, caplog, damage):
    data = decoded(photos)
    expected = source_of(data).read(torch.arange(COUNT))
    path = entries("images")[0].path
    whole = path.read_bytes()
    parts = {"short": whole[:-1], "shorter": whole[:100], "empty": b""}
    path.write_bytes(parts.get(damage, whole[:-30] + b"!" + whole[-29:]))
    again = decoded(photos)
    assert source_of(again).is_open
    assert torch.equal(source_of(again).read(torch.arange(COUNT)), expected)
    assert "it will be recreated" in caplog.text
    assert path.read_bytes() == whole


def test_a_file_of_other_images_is_refused(photos):
    source = source_of(decoded(photos))
    with pytest.raises(DamagedError, match="written for other images"):
        PixelFile(source.path, source.key + " ", source.whole_shape)
    source.path.rename(source.path.with_name("moved"))
    source.path.symlink_to(source.path.with_name("moved"))
    assert not source_of(folder(photos)).is_open  # a link could lead anywhere


def test_a_killed_process_leaves_nothing_that_is_used(photos, kept, monkeypatch):
    expected = source_of(folder(photos, cache=False)).read(torch.arange(COUNT))

    def slow(source, row, decode=FileSource.attempt):
        if kept.is_dir() and row == 20:
            time.sleep(60)
        return decode(source, row)

    monkeypatch.setattr(filling, "_BLOCK", 4)
    data = folder(photos)
    data.setup()
    with monkeypatch.context() as patch:
        patch.setattr(FileSource, "attempt", slow)
        killed = fork(data.decode_once)
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size for path in kept.glob(".ganforge-*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(killed, signal.SIGKILL)
    assert wait(killed) == -signal.SIGKILL
    assert entries("images") == []
    again = decoded(photos)
    assert torch.equal(source_of(again).read(torch.arange(COUNT)), expected)
    clear("images")
    assert [*kept.iterdir()] == []


def test_processes_that_start_together_decode_once(photos, kept, tmp_path, monkeypatch):
    calls = tmp_path / "calls"

    def counted(source, row, decode=FileSource.attempt):
        with calls.open("ab") as file:
            file.write(b".")
        time.sleep(0.002)
        return decode(source, row)

    monkeypatch.setattr(keeping, "_POLL", 0.01)
    modules = [folder(photos) for _ in range(3)]
    for data in modules:
        data.setup()
    monkeypatch.setattr(FileSource, "attempt", counted)

    def work(data):
        data.decode_once()
        assert source_of(data).is_open

    children = [fork(lambda data=data: work(data)) for data in modules]
    assert [wait(child) for child in children] == [0, 0, 0]
    assert calls.stat().st_size == COUNT
    assert [path.suffix for path in kept.iterdir()] == [".images"]


# ---------------------------------------------------------------------- limits


def test_auto_keeps_large_sets_only(photos, monkeypatch):
    assert isinstance(source_of(folder(photos, cache="auto")), FileSource)
    monkeypatch.setattr(keeping, "WORTH", COUNT)
    assert isinstance(source_of(decoded(photos, cache="auto")), CachedSource)
    assert isinstance(source_of(folder(photos, cache=False)), FileSource)
    assert len(entries("images")) == 1


@pytest.mark.parametrize(
    ("given", "free", "message"),
    [
        (
            {"cache_limit_mb": 0},
            2**40,
            "decoded, they take 5,760 bytes, more than data.cache_limit",
        ),
        ({}, 10_000, "more than half of the 10,000 bytes free in "),
    ],
)
def test_auto_says_once_why_it_does_not_cache(photos, monkeypatch, caplog, given, free, message):
    caplog.set_level("INFO")
    monkeypatch.setattr(keeping, "WORTH", COUNT)
    monkeypatch.setattr(keeping, "_free", lambda folder: free)
    data = folder(photos, cache="auto", **given)
    data.setup()
    assert message not in caplog.text  # an evaluation does not need all images
    data.decode_once()
    (record,) = [record for record in caplog.records if message in record.getMessage()]
    assert "data=folder: files are decoded on every read: " in record.getMessage()
    assert entries("images") == []
    attach(data)
    plain = folder(photos, cache=False)
    attach(plain)
    assert torch.equal(joined(first(data, 5)), joined(first(plain, 5)))
    if free > 10_000:
        assert source_of(decoded(photos, **given)).is_open  # true has no limit but the disk


def test_a_full_disk_ends_a_run_only_if_it_insists_on_the_cache(photos, kept, monkeypatch, caplog):
    caplog.set_level("INFO")
    with monkeypatch.context() as patch:
        patch.setattr(keeping, "_free", lambda folder: 10)
        with pytest.raises(DataError, match=r"cache has 10 bytes free. data.cache=false decodes"):
            decoded(photos)
    with full(2000), pytest.raises(DataError, match=r"cannot decode into .*: File too large"):
        decoded(photos)
    monkeypatch.setattr(keeping, "WORTH", COUNT)
    with full(2000):
        data = decoded(photos, cache="auto")
    assert "decoded on every read: cannot decode into" in caplog.text
    assert not source_of(data).is_open
    assert entries("images") == []
    assert [*kept.iterdir()] == []


def test_the_least_recently_used_files_make_room(photos, kept):
    sources = {}
    for size, age in ((6, 300), (7, 200), (9, 100)):
        sources[size] = source_of(decoded(photos, image_size=size))
        os.utime(sources[size].path, (time.time() - age,) * 2)
    paths = {size: source.path for size, source in sources.items()}
    del sources[7]  # is no longer read, unlike the oldest
    keeping._make_room(kept, 10, sum(path.stat().st_size for path in paths.values()))
    assert [size for size, path in paths.items() if path.exists()] == [6, 9]
    (kept / f"gone{keeping.SUFFIX}").symlink_to(kept / "removed by another process")
    keeping._make_room(kept, 10, 0)
    assert [size for size, path in paths.items() if path.exists()] == [6, 9]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cache": "yes"}, "cache must be auto, true or false, got 'yes'"),
        ({"cache_limit_mb": -1}, "cache_limit_mb must be an integer of at least 0"),
    ],
)
def test_wrong_settings_are_refused(photos, given, message):
    with pytest.raises(ConfigError, match=message):
        folder(photos, **given)
