import os
import tarfile
import zipfile

import pytest
import torch
from PIL import Image

from ganforge.data.sets.folder import ImageFolder
from ganforge.data.stream import workers_for_files
from ganforge.errors import ConfigError, DataError
from tests.data.drawings import BLUE, GREEN, RED, flat, save
from tests.data.stand_in import attach, first, joined

COLORS = {"blue": BLUE, "green": GREEN, "red": RED}


def folder(path, **changes):
    return ImageFolder(str(path), **{"image_size": 8, "batch_size": 4, **changes})


def paint(root, count=8, names=COLORS):
    for name in names:
        for i in range(count):
            color = tuple(min(255, value + 9 * i) for value in COLORS[name])
            save(root / name / f"{i}.png", flat(color, (8 + i, 16 - i)))
    return root


def pack_zip(root, path):
    with zipfile.ZipFile(path, "w") as archive:
        for image in sorted(root.rglob("*.png")):
            archive.write(image, image.relative_to(root.parent))
        archive.writestr("__MACOSX/._junk.png", "junk")
        archive.writestr("captions.csv", "junk")
    return path


def pack_tar(root, path):
    with tarfile.open(path, "w:xz") as archive:
        archive.add(root, root.name)
    return path


def test_class_folders_become_labels_and_each_gives_its_share_to_the_test(tmp_path):
    data = folder(paint(tmp_path), holdout=0.25)
    assert (data.size("train"), data.size("test"), data.num_classes) == (18, 6, 3)
    images, labels = data.reals(18)
    for image, label in zip(images, labels.tolist(), strict=True):
        assert image.flatten(1).float().mean(1).argmax() == {0: 2, 1: 1, 2: 0}[label]
    assert data.reals(6, "test")[1].bincount().tolist() == [2, 2, 2]


@pytest.mark.parametrize("pack", [pack_zip, pack_tar])
def test_archives_serve_what_the_folder_serves(tmp_path, pack):
    root = paint(tmp_path / "colors")
    packed = folder(pack(root, tmp_path / "colors.archive"))
    assert packed.fingerprint() == folder(root).fingerprint()


@pytest.mark.parametrize("pack", [lambda root, path: root, pack_zip])
def test_streaming_with_workers_serves_what_memory_serves(tmp_path, pack):
    path = pack(paint(tmp_path / "colors"), tmp_path / "colors.zip")
    memory, stream = folder(path, mirror=True), folder(path, mirror=True, in_memory=False)
    attach(memory, critic_steps=2)
    attach(stream, critic_steps=2)
    expected = first(memory, 4)
    served = first(stream, 4)
    assert (memory.workers, stream.workers) == (0, workers_for_files(1))
    assert torch.equal(joined(served), joined(expected))
    assert torch.equal(joined(served, "label"), joined(expected, "label"))
    assert torch.equal(stream.reals(24)[0], memory.reals(24)[0])


def test_auto_streams_what_is_over_the_limit(tmp_path):
    data = folder(paint(tmp_path), memory_limit_mb=0, workers=1, max_images=6)
    data.setup()
    assert not hasattr(data._sources["train"], "images")
    assert (data.workers, data.size()) == (1, 6)


def test_split_folders_are_splits(tmp_path):
    paint(tmp_path / "set" / "train", 3)
    paint(tmp_path / "set" / "val", 2)
    data = folder(tmp_path)
    assert (data.size("train"), data.size("test"), data.num_classes) == (9, 6, 3)
    assert data.reals(6, "test")[1].bincount().tolist() == [2, 2, 2]


def test_unlabelled_images_are_trained_on_as_a_whole(tmp_path):
    for i in range(5):
        save(tmp_path / "deep" / "er" / f"{i}.PNG", flat(RED))
    data = folder(tmp_path)
    assert (data.size("train"), data.size("test"), data.num_classes) == (5, 0, 0)
    assert data.reals(5)[1] is None
    with pytest.raises(DataError, match="data=folder has no test images"):
        data.reals(5, "test")


def test_labels_can_be_ignored_or_insisted_on(tmp_path):
    assert folder(paint(tmp_path), labels=False).reals(4)[1] is None
    assert folder(tmp_path, labels=True).reals(4)[1] is not None
    save(tmp_path / "loose.png", flat(RED))
    assert folder(tmp_path).reals(4)[1] is None
    with pytest.raises(DataError, match="labels=true requires that all images"):
        folder(tmp_path, labels=True).setup()
    with pytest.raises(DataError, match="0 class folders, but num_classes=7"):
        folder(tmp_path, num_classes=7).setup()


def spoil(root, count):
    """Writes an empty file, a text and half an image, the given number of times."""
    save(root / "whole.png", Image.effect_noise((64, 64), 50))
    half = (root / "whole.png").read_bytes()[:300]
    for i in range(count):
        (root / f"bad{i}.png").write_bytes([b"", b"no image", half][i % 3])


def test_unreadable_files_are_listed_and_skipped(tmp_path, caplog):
    paint(tmp_path, 4, ["red"])
    spoil(tmp_path, 3)
    data = folder(tmp_path, max_unreadable=3)
    assert data.size() == 5
    skipped = [record for record in caplog.records if record.name.endswith("files.source")]
    assert sorted(record.args[0] for record in skipped) == [
        "bad0.png",
        "bad1.png",
        "bad2.png",
    ]


@pytest.mark.parametrize("workers", [0, 1])
def test_streaming_replaces_an_unreadable_image_by_the_next(tmp_path, workers):
    paint(tmp_path, 4, ["red"])
    spoil(tmp_path, 3)
    data = folder(tmp_path, in_memory=False, workers=workers, batch_size=8)
    attach(data)
    (batch,) = first(data, 1)
    assert batch["image"].shape == (8, 3, 8, 8)


@pytest.mark.parametrize("workers", [None, 0, 1])
def test_too_many_unreadable_files_are_an_error_that_lists_them(tmp_path, workers):
    paint(tmp_path, 4, ["red"])
    spoil(tmp_path, 5)
    data = folder(
        tmp_path, max_unreadable=4, in_memory=workers is None, workers=workers, batch_size=10
    )
    attach(data)
    with pytest.raises(
        DataError, match=r"^more than max_unreadable=4 images are unreadable"
    ) as caught:
        first(data, 1)
    listed = str(caught.value).splitlines()
    assert "  bad0.png: cannot identify image file" in listed


def test_no_readable_image_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match="all images are unreadable"):
        folder(tmp_path).setup()


def test_one_image_is_too_few(tmp_path):
    save(tmp_path / "a.png", flat(RED))
    with pytest.raises(DataError, match="has 1 training image, but needs at least 2"):
        folder(tmp_path, batch_size=1).setup()


def test_a_batch_larger_than_the_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"batch_size=64 is larger than the 22 .*batch_size=22"):
        folder(paint(tmp_path), batch_size=64).setup()


def test_paths_that_hold_no_images_are_named(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="nowhere does not exist"):
        folder(tmp_path / "nowhere").prepare_data()
    with pytest.raises(DataError, match="contains no images: expected files like"):
        folder(tmp_path).setup()
    text = tmp_path / "notes.txt"
    text.write_text("no archive")
    with pytest.raises(DataError, match=r"notes.txt is not a zip or tar"):
        folder(text).setup()
    broken = pack_zip(paint(tmp_path / "c"), tmp_path / "c.zip")
    broken.write_bytes(broken.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"c.zip is not a zip"):
        folder(broken).setup()

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        folder(tmp_path).setup()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": None}, "data=folder needs data.path=PATH"),
        (
            {"path": "s3://bucket/a.tar"},
            r"data.path=s3://.* is a URL.*data=webdataset data.urls=URL",
        ),
        ({"labels": "yes"}, "labels must be auto, true or false, got 'yes'"),
        ({"in_memory": "no"}, r"data\.in_memory must be auto, true or false, got 'no'"),
        ({"cache": "perhaps"}, r"data\.cache must be auto, true or false, got 'perhaps'"),
        ({"holdout": 1.0}, "holdout must be at least 0 and below 1"),
        ({"max_unreadable": -1}, "max_unreadable must be an integer of at least 0"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        ImageFolder(**{"path": "x", **changes})


def shaded(root, layout, classes=4, count=5):
    """Gray images whose brightness is 40 times the number of their class."""
    for label in range(classes):
        for i in range(count):
            place = layout.format(split="test" if i == 0 else "train", name=label * 5)
            save(root / place / f"{i}.png", Image.new("L", (8, 8), 40 * label))
    return root


@pytest.mark.parametrize("pack", [lambda root, path: root, pack_zip, pack_tar])
@pytest.mark.parametrize("layout", ["{name}", "{split}/{name}", "{name}/{split}"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_image_and_label_stay_together(tmp_path, pack, layout, in_memory):
    root = shaded(tmp_path / "set", layout)
    bad = root / layout.format(split="train", name=0) / "2.png"
    bad.write_bytes(b"damaged")
    path = pack(root, tmp_path / "packed")
    workers = None if in_memory else int(layout == "{name}")
    data = folder(
        path, channels=1, holdout=0.25, max_images=13, in_memory=in_memory, workers=workers
    )
    attach(data)
    (batch,) = first(data, 1)
    for images, labels in (
        (batch["image"], batch["label"]),
        data.reals(20),
        data.reals(20, "test"),
    ):
        assert len(images) > 3
        assert torch.equal(images[:, 0, 0, 0].long(), 40 * labels)
    assert data.class_names == ["0", "5", "10", "15"]
