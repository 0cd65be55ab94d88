from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from PIL import Image

from ganforge.data.files.entries import open_entries
from ganforge.errors import ConfigError, RunError
from ganforge.translate.files import check_out, output_names, warn_of_pairs


@pytest.mark.parametrize(
    ("names", "targets"),
    [
        (["a.jpg", "b/a.jpg", "b/ü x.tiff"], ["a.png", "b/a.png", "b/ü x.png"]),
        (["v1.2.jpg"], ["v1.2.png"]),
        (["a.gif", "a.jpg", "b.jpg"], ["a.gif.png", "a.jpg.png", "b.png"]),
        (["A.jpg", "a.png"], ["A.jpg.png", "a.png.png"]),
        # The first two take each other's plain name, and the third one's is taken then.
        (["a.gif", "a.jpg", "a.jpg.webp"], ["a.gif.png", "a.jpg.png", "a.jpg-2.png"]),
        (["x.jpg", "x.jpg"], ["x.jpg.png", "x.jpg-2.png"]),
        (["../../a.jpg", "/etc/b.jpg", "c/../../d.jpg"], ["a.png", "etc/b.png", "c/d.png"]),
    ],
)
def test_names_are_preserved_and_unique(names, targets):
    assert output_names(names) == targets


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_text("")
    return tmp_path / "photos"


def refused(out, source, names=("a.png",), targets=("a.png",)):
    with pytest.raises(ConfigError) as error:
        check_out(out, source, list(names), list(targets))
    return str(error.value)


def test_an_output_that_is_a_file(photos, tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a file: give a folder" in refused(tmp_path / "file", photos)
    assert "looks like a file: give a folder" in refused(tmp_path / "new.PNG", photos)
    assert "looks like a file" in refused(tmp_path / "new.zip", photos)
    (tmp_path / "folder.png").mkdir()
    check_out(tmp_path / "folder.png", photos, ["a.png"], ["a.png"])


def test_an_output_inside_the_input(photos, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(photos)
    for out in (photos, photos / "new", tmp_path / "link" / "new", photos / "x" / ".." / "new"):
        assert "is inside input=" in refused(out, photos)
    monkeypatch.chdir(photos)
    assert "is inside input=." in refused(Path("new"), Path("."))


def test_an_output_that_holds_the_input(photos, tmp_path):
    check_out(tmp_path, photos, ["a.png"], ["a.png"])
    message = refused(tmp_path, photos, ["a.png"], ["photos/a.png"])
    assert f"would overwrite the input {photos / 'a.png'}" in message
    single = photos / "a.png"
    assert "would overwrite the input" in refused(photos, single)
    check_out(photos, single, ["a.png"], ["b.png"])


def test_an_input_that_is_a_link_into_the_output(photos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_text("")
    (photos / "b.jpg").symlink_to(tmp_path / "out" / "b.png")
    assert "would overwrite" in refused(tmp_path / "out", photos, ["b.jpg"], ["b.png"])


def test_an_output_that_cannot_be_written(photos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"new \(Not a directory"):
        check_out(tmp_path / "file" / "new", photos, ["a.png"], ["a.png"])

    def refuse(path, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunError, match=r"cannot write to out=.*new \(Permission denied"):
        check_out(tmp_path / "new", photos, ["a.png"], ["a.png"])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("sizes", "pairs", "warned"),
    [
        ([(16, 8), (32, 16)], True, True),
        ([(16, 8), (16, 8)], False, False),
        ([(16, 8), (8, 8)], True, False),
        ([None, (16, 8)], True, True),
        ([None], True, False),
    ],
)
def test_pairs_side_by_side_are_noticed(tmp_path, caplog, sizes, pairs, warned):
    for number, size in enumerate(sizes):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", size).save(path) if size else path.write_bytes(b"damaged")
    warn_of_pairs(open_entries(tmp_path), pairs)
    assert ("like side-by-side pairs" in caplog.text) is warned
