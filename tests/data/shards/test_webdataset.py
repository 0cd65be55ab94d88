import io
import json
import os
import pickle
import tarfile

import numpy as np
import pytest
import torch

from ganforge.data.sets.folder import ImageFolder
from ganforge.data.sets.webdataset import WebDataset, is_test
from ganforge.data.shards.places import braces
from ganforge.errors import ConfigError, DataError

from .tars import encoded, pixels, samples, write_shards, write_tar


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))


def opened(urls, **settings):
    settings = {"image_size": 8, "in_memory": False, "holdout": 0.0, "batch_size": 2} | settings
    data = WebDataset(urls, **settings)
    data.setup()
    return data


def check_images(data, numbers, split="train"):
    images, _ = data.source_of(split).read_labelled(torch.arange(len(numbers)))
    for image, number in zip(images, numbers, strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels(number))


def labels(data, split="train"):
    return data.source_of(split).labels.tolist()


# ---------------------------------------------------------------------- contents


def test_images_and_numbered_labels(tmp_path):
    data = opened(write_shards(tmp_path / "d", [5, 4, 6]))
    check_images(data, range(15))
    assert labels(data) == [number % 3 for number in range(15)]
    assert data.class_names == ["0", "1", "2"]
    assert data.num_classes == 3
    assert data.find_classes().classes == data.class_names


def test_named_labels_are_numbered_in_natural_order(tmp_path):
    def name(number):
        return ["dog10", "cat", "dog2"][number % 3]

    data = opened(write_shards(tmp_path / "d", [6], label=name, style="json"))
    assert data.class_names == ["cat", "dog2", "dog10"]
    assert labels(data) == [2, 0, 1, 2, 0, 1]
    given = opened(str(tmp_path / "d" / "*.tar"), class_names=["dog10", "dog2", "cat"])
    assert labels(given) == [0, 2, 1, 0, 2, 1]
    with pytest.raises(DataError, match=r"classes are .*, but data\.class_names"):
        opened(str(tmp_path / "d" / "*.tar"), class_names=["cat", "bird"])


def test_images_without_labels(tmp_path):
    some = [*samples(range(4)), ("0004.png", encoded(4))]
    write_tar(tmp_path / "a.tar", some)
    data = opened(str(tmp_path / "a.tar"))
    assert data.source_of("train").labels is None
    assert data.remarks == ["no labels: 1 images have none"]
    with pytest.raises(DataError, match=r"labels=true requires .*1 images have none"):
        opened(str(tmp_path / "a.tar"), labels=True)
    assert opened(write_shards(tmp_path / "d", [4]), labels=False).num_classes == 0
    with pytest.raises(DataError, match="3 classes, but num_classes=5"):
        opened(str(tmp_path / "d" / "*.tar"), num_classes=5)


def test_samples_end_at_the_first_dot(tmp_path):
    members = [
        ("a/1.jpg", encoded(1, kind="JPEG")),
        ("a/1.seg.png", encoded(2)),
        ("a/1.txt", b"a caption"),
        ("b/1.webp", encoded(3, kind="WEBP")),
        ("b/1.png", encoded(4)),
        ("b/.hidden.png", encoded(5)),
    ]
    write_tar(tmp_path / "a.tar", members)
    data = opened(str(tmp_path / "a.tar"))
    assert data.source_of("train").names == ["a.tar/a/1.jpg", "a.tar/b/1.webp"]
    assert "extension seg.png" in str(data.source_of("train").entries.skipped)
    assert "another image of the same sample" in str(data.source_of("train").entries.skipped)


def test_splits(tmp_path):
    write_shards(tmp_path / "d", [3, 3])
    write_shards(tmp_path / "d", [4], prefix="val")
    data = opened(str(tmp_path / "d" / "*.tar"))
    assert (data.size("train"), data.size("test")) == (6, 4)
    check_images(data, range(4), "test")
    both = opened(
        str(tmp_path / "d" / "train-000.tar"), test_urls=str(tmp_path / "d" / "train-001.tar")
    )
    assert (both.size("train"), both.size("test")) == (3, 3)
    assert opened(str(tmp_path / "d" / "val-*.tar")).size("test") == 0
    held_out = opened(str(tmp_path / "d" / "train-*.tar"), holdout=0.34)
    assert (held_out.size("train"), held_out.size("test")) == (4, 2)
    names = ["s3://b/val/0.tar", "/d/in_Validation-1.tar", "test.tar", "http://h/a-val.tar?x=train"]
    assert all(map(is_test, names))
    assert not any(map(is_test, ["/test/train-0.tar", "/test/d/latest.tar", "my_test/0.tar"]))


# ---------------------------------------------------------------------- where


def test_braces():
    assert [*braces("a-{08..11}.{tar,x}")][:3] == ["a-08.tar", "a-08.x", "a-09.tar"]
    assert [*braces("{9..10}")] == ["9", "10"]
    with pytest.raises(ConfigError, match="is not a range"):
        [*braces("{5..1}")]


@pytest.mark.parametrize("url", ["pipe:cat a.tar", "PIPE:aws s3 cp", " pipe:x", "|x", "ssh://h/a"])
def test_commands_and_strange_schemes_are_refused(url):
    with pytest.raises(ConfigError, match=r"runs no commands|is not supported"):
        WebDataset([url])


def test_a_folder_does_not_drop_the_classes_of_a_tar(tmp_path):
    path = write_tar(tmp_path / "a.tar", samples(range(4)))
    remedy = r"\.cls files.*data=webdataset data\.urls=.*a\.tar, or data\.labels=false"
    for labels in ("auto", True):
        with pytest.raises(DataError, match=remedy):
            ImageFolder(str(path), labels=labels).find_classes()
    assert ImageFolder(str(path), labels=False).find_classes().classes == []


def test_patterns_of_http_are_refused_before_any_request():
    with pytest.raises(ConfigError, match=r"data\.urls=https://h/\*\.tar: servers of plain HTTP"):
        WebDataset(["https://h/*.tar"])


def test_a_missing_package_is_named_after_the_shard(monkeypatch):
    def missing(*arguments, **settings):
        raise ImportError("s3fs")

    monkeypatch.setattr("fsspec.filesystem", missing)
    fault = r"^s3://bucket/a\.tar: s3:// needs more packages: uv sync --extra stream"
    with pytest.raises(DataError, match=fault):
        opened("s3://bucket/a.tar")


def test_missing_shards(tmp_path):
    with pytest.raises(ConfigError, match=r"needs data\.urls"):
        WebDataset()
    with pytest.raises(ConfigError, match="must be a path or URL"):
        WebDataset([3])
    with pytest.raises(DataError, match="matches no shard"):
        opened(str(tmp_path / "*.tar"))
    with pytest.raises(DataError, match=r"a-1\.tar cannot be read: No such file"):
        opened(str(tmp_path / "a-{1..2}.tar"))
    path = str(write_tar(tmp_path / "a.tar", samples(range(3))))
    with pytest.raises(DataError, match="is named twice"):
        opened([path, path])


# ---------------------------------------------------------------------- strange archives


def test_damaged_tars_are_named(tmp_path):
    path = write_tar(tmp_path / "a.tar", samples(range(3)))
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    with pytest.raises(DataError, match=r"a\.tar .*(truncated|unexpected end)"):
        opened(str(path))
    path.write_bytes(b"no tar at all" * 99)
    with pytest.raises(DataError, match=r"a\.tar is not a tar"):
        opened(str(path))
    write_tar(path, samples(range(3)), "w:gz")
    with pytest.raises(DataError, match=r"a\.tar is compressed.*gunzip"):
        opened(str(path))


def test_links_and_strange_members_are_not_followed(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"{kind.decode()}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for name in ("../../up.png", "/root.png", "0001.png"):
            data = encoded(1)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    data = opened(str(path))
    assert data.source_of("train").names == ["a.tar/up.png", "a.tar/root.png", "a.tar/0001.png"]


def test_labels_of_strange_contents(tmp_path):
    deep = b"[" * 10**5
    members = [
        *samples([0], label=None), ("0000.json", deep),
        *samples([1], label=None), ("0001.json", b'{"label": {"a": 1}}'),
        *samples([2], label=None), ("0002.cls", b"\xff" * 999),
        *samples([3], label=None), ("0003.json", b'{"label": true}'),
    ]  # fmt: skip
    write_tar(tmp_path / "a.tar", members)
    assert opened(str(tmp_path / "a.tar")).num_classes == 0


def test_an_index_is_made_once_and_again_for_another_tar(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", samples(range(3)))
    opened(str(path))
    with monkeypatch.context() as patch:
        patch.setattr(WebDataset, "scan", None)
        check_images(opened(str(path)), range(3))
    write_tar(path, samples(range(5, 9)))
    check_images(opened(str(path)), range(5, 9))


@pytest.mark.parametrize("key", ["shard_cache_gb", "holdout"])
@pytest.mark.parametrize("value", ["x", True, None, -1, float("nan")])
def test_numbers_of_other_types_are_refused(key, value):
    with pytest.raises(ConfigError, match=rf"{key} must be at least 0.*, got {value!r}"):
        WebDataset("a.tar", **{key: value})


def test_a_wrong_index_next_to_a_tar_is_not_used(tmp_path):
    path = write_tar(tmp_path / "a.tar", samples(range(3)))
    size = path.stat().st_size
    wrong = {"version": 1, "bytes": size, "names": ["x.png"], "offsets": [size], "sizes": [9],
             "labels": None, "encoding": "file", "skipped": {}}  # fmt: skip
    for text in (json.dumps(wrong), "[]", "{", json.dumps(wrong | {"bytes": 1})):
        (tmp_path / "a.tar.json").write_text(text)
        check_images(opened(str(path)), range(3))
        os.utime(path)  # not from the cache


def test_unreadable_images_are_replaced(tmp_path):
    members = [*samples(range(4))]
    members[2] = ("0001.png", b"damaged")
    write_tar(tmp_path / "a.tar", members)
    data = opened(str(tmp_path / "a.tar"), labels=False)
    check_images(data, [0, 2, 2, 3])


def test_sources_travel_to_started_processes(tmp_path):
    source = opened(write_shards(tmp_path / "d", [5, 4])).source_of("train")
    source.read(torch.arange(9))
    copy = pickle.loads(pickle.dumps(source))
    assert torch.equal(copy.read(torch.arange(9)), source.read(torch.arange(9)))


def test_a_tar_above_4_gb(tmp_path):
    """A sparse file: 4.5 GB of zeros between two images."""
    path = tmp_path / "a.tar"
    hole = 9 * 2**29
    with open(path, "wb") as file:
        for name, size, data in (
            ("0.png", 0, encoded(0)),
            ("hole.bin", hole, b""),
            ("1.png", 0, encoded(1)),
        ):
            member = tarfile.TarInfo(name)
            member.size = size or len(data)
            file.write(member.tobuf(tarfile.GNU_FORMAT))
            file.write(data)
            file.seek(-(-(file.tell() + size) // 512) * 512)
        file.truncate(file.tell() + 10240)
    data = opened(str(path))
    assert path.stat().st_size > 2**32
    check_images(data, [0, 1])
