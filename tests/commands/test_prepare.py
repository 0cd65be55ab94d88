import io
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge import atomic
from ganforge.commands import prepared_folder
from ganforge.data.order import Order
from ganforge.data.sets.fake import FakeImages
from ganforge.data.sets.folder import ImageFolder
from ganforge.data.sets.litdata import LitData
from ganforge.data.sets.webdataset import WebDataset
from ganforge.data.shards.writing import KINDS
from ganforge.errors import DataError
from tests.support.forking import fork, wait

FAKE = ("data=fake", "data.size=64", "data.image_size=8")
SMALL = {"image_size": 8, "batch_size": 2, "in_memory": False}


def photos(folder, count=20):
    """Writes photographs of different sizes of two classes; returns the folder."""
    draws = np.random.default_rng(0)
    for number in range(count):
        path = folder / ["cat", "dog"][number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (9 + number % 4, 12, 3)
        Image.fromarray(draws.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return folder


def by_key(source):
    """Returns image and label of each prepared image by its number in the original."""
    images, labels = source.read_labelled(torch.arange(len(source)))
    keys = [int(Path(name).name.partition(".")[0]) for name in source.names]
    return {
        key: (image, int(label)) for key, image, label in zip(keys, images, labels, strict=True)
    }


def same_as(source, original):
    images, labels = original.read_labelled(torch.arange(len(original)))
    found = by_key(source)
    assert sorted(found) == list(range(len(original)))
    return all(
        torch.equal(found[key][0], image) and found[key][1] == label
        for key, (image, label) in enumerate(zip(images, labels.tolist(), strict=True))
    )


def test_shards_of_a_folder_hold_the_same_pixels(type_in, tmp_path):
    photos(tmp_path / "photos")
    command = ("prepare", "data=folder", f"data.path={tmp_path}/photos", "data.image_size=8")
    typed = type_in(*command, "out=out", "shard_mb=0.01")
    assert typed.code == 0, typed.err
    assert "train: 18 images in 5 shards" in typed.out
    original = ImageFolder(str(tmp_path / "photos"), **SMALL)
    data = WebDataset("out/*.tar", **SMALL)
    for each in (original, data):
        each.setup()
    for split in ("train", "test"):
        assert same_as(data.source_of(split), original.source_of(split))
    assert data.class_names == ["cat", "dog"]
    keys = [*by_key(data.source_of("train"))]
    assert keys != sorted(keys)  # shuffled: each shard is a sample of the data set
    summary = json.loads(Path("out/ganforge.json").read_text())
    assert summary["splits"]["train"]["images"] == 18
    assert summary["fingerprints"]["train"] == original.fingerprint("train")
    again = type_in(*command, "out=out", "shard_mb=0.01")
    assert "complete already" in again.out
    other = type_in("prepare", "data=digits", "out=out")
    assert other.code == 2
    assert "shards of other images or settings" in other.err
    for shard in Path("out").glob("train-*.tar"):
        shard.unlink()
    with pytest.raises(DataError, match=r"training shards that ganforge.json lists are missing"):
        WebDataset("out/*.tar", **SMALL).setup()


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_chunks_of_litdata(type_in, encoding):
    typed = type_in("prepare", *FAKE, "format=litdata", f"encoding={encoding}", "out=out")
    assert typed.code == 0, typed.err
    original, data = FakeImages(64, image_size=8, batch_size=2), LitData("out", **SMALL)
    for each in (original, data):
        each.setup()
    order = Order(64, 0).indices(range(64))
    theirs, labels = original.source_of("train").read_labelled(order)
    images, found = data.source_of("train").read_labelled(torch.arange(64))
    assert torch.equal(found, labels)
    assert torch.equal(images, theirs) == (encoding == "png")
    assert (data.size("test"), data.num_classes) == (16, 10)


@pytest.mark.slow
def test_litdata_itself_reads_its_chunks(type_in, monkeypatch):
    from litdata import StreamingDataset

    monkeypatch.setenv("DATA_OPTIMIZER_CACHE_FOLDER", "litdata")
    for encoding in ("png", "jpeg"):
        command = ("prepare", *FAKE, "format=litdata", "shard_mb=0.01", f"encoding={encoding}")
        assert type_in(*command, f"out={encoding}").code == 0
        ours = LitData(encoding, **SMALL)
        ours.setup()
        assert len(ours.source_of("train").entries.shards) > 1
        images, labels = ours.source_of("train").read_labelled(torch.arange(64))
        items = StreamingDataset(f"{encoding}/train", shuffle=False, drop_last=False)
        assert len(items) == 64
        for number in range(64):
            item = items[number]
            assert item["label"] == labels[number]
            if encoding == "jpeg":
                assert (item["image"].int() - images[number].int()).abs().max() <= 2
            else:
                pixels = np.asarray(Image.open(io.BytesIO(item["image"])))
                assert np.array_equal(pixels, images[number].permute(1, 2, 0).numpy())


def test_an_interrupted_command_leaves_whole_shards_and_continues(type_in, tmp_path, monkeypatch):
    command = ("prepare", *FAKE, "shard_mb=0.04", "out=out")
    write = prepared_folder.Folder.write
    written = []

    def interrupted(self, split, number, samples):
        if (split, number) == ("train", 2):
            raise KeyboardInterrupt
        written.append((split, number))
        write(self, split, number, samples)

    with monkeypatch.context() as patch:
        patch.setattr(prepared_folder.Folder, "write", interrupted)
        assert type_in(*command).code == 130
    before = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.tar")}
    assert sorted(before) == ["train-000000.tar", "train-000001.tar"]
    refused = type_in(
        "train", "model=dcgan", "data=webdataset", "data.urls=out/*.tar", "dry_run=true"
    )
    assert "is not complete: ganforge prepare was interrupted" in refused.err
    Path("out/train-000001.tar.json").unlink()  # as if killed between a shard and its index
    assert type_in(*command).code == 0
    after = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.tar")}
    assert after["train-000000.tar"] == before["train-000000.tar"]
    assert type_in(*command[:-1], "out=at_once").code == 0
    for path in Path("at_once").iterdir():
        assert (Path("out") / path.name).read_bytes() == path.read_bytes()
    assert not list(Path("out").glob(".*"))


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_leaves_no_temporary_file(type_in, monkeypatch, name, code):
    kind, written = KINDS["webdataset"], []

    def signalled(file, samples, encoding):
        written.extend(Path("out").glob(".ganforge-*"))
        for _ in range(2):  # as sent both to a process and to its group
            os.kill(os.getpid(), signal.Signals[name])
        return kind.write(file, samples, encoding)

    with monkeypatch.context() as patch:
        patch.setitem(KINDS, "webdataset", replace(kind, write=signalled))
        done = type_in("prepare", *FAKE, "out=out")
    assert (done.code, len(written)) == (code, 1)
    assert f"ganforge: interrupted by {name}; the same command continues" in done.err
    assert [path.name for path in Path("out").iterdir()] == ["ganforge-unfinished.json"]
    left = Path("out/train-000000.tar")
    assert wait(fork(lambda: atomic.temporary_sibling(left).write_bytes(b"killed"))) == 0
    assert type_in("prepare", *FAKE, "out=out").code == 0
    assert not list(Path("out").glob(".*"))
    assert left.exists()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["out=o"], "prepare needs data=NAME"),
        (["data=digits"], "prepare needs out=DIR"),
        (["data=digits", "out=o", "format=zip"], "format must be one of webdataset, litdata"),
        (["data=digits", "out=o", "encoding=gif"], "encoding must be one of png, jpeg, webp"),
        (["data=digits", "out=o", "quality=90"], "quality=90 is for encoding=jpeg or webp"),
        (["data=digits", "out=o", "encoding=webp", "quality=0"], "quality must be 1 to 100"),
        (["data=digits", "out=o", "shard_mb=0"], "shard_mb must be above 0"),
        (["data=ring8", "out=o"], "points in the plane"),
        (["data=digits", "out=foreign"], "is not empty, and not from ganforge prepare"),
        (["data=digits", "out=o", "data.sise=3"], "data.sise: no such key"),
    ],
)
def test_wrong_settings_are_refused(type_in, tmp_path, typed, message):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "own.txt").write_text("mine")
    done = type_in("prepare", *typed)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "o").exists()


def test_other_encodings(type_in):
    command = ("prepare", "data=fake", "data.size=8", "data.image_size=8")
    data = {}
    for name, more in {
        "png": [],
        "webp": ["encoding=webp"],
        "jpeg": ["encoding=jpeg", "quality=100"],
    }.items():
        assert type_in(*command, *more, f"out={name}").code == 0
        data[name] = WebDataset(f"{name}/*.tar", **SMALL)
        data[name].setup()
    images = {name: by_key(each.source_of("train")) for name, each in data.items()}
    for key, (image, label) in images["png"].items():
        assert torch.equal(images["webp"][key][0], image)
        assert images["jpeg"][key][1] == label
        distance = (images["jpeg"][key][0].int() - image.int()).abs()
        assert 0 < distance.max() <= 6


def test_unreadable_images_are_left_out(type_in, tmp_path):
    folder = photos(tmp_path / "photos")
    (folder / "cat" / "00.png").write_bytes(b"damaged")
    typed = type_in("prepare", "data=folder", f"data.path={folder}", "data.holdout=0", "out=o")
    assert "train: 19 images in 1 shard" in typed.out
