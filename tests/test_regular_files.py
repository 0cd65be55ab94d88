from __future__ import annotations

import os

import pytest

from ganforge.errors import RunError
from ganforge.regular_files import open_regular, read_json, read_mapping, read_regular


def test_a_regular_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert read_regular(tmp_path / "a") == b"abc"


def test_links_fifos_folders_devices_and_large_files_are_refused(tmp_path):
    (tmp_path / "target").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "endless").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name in ("link", "dangling", "endless"):
        with pytest.raises(OSError, match="is a link"):
            read_regular(tmp_path / name)
    for name in ("fifo", "folder"):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(tmp_path / name)
    with pytest.raises(OSError, match="larger than 2 bytes"):
        read_regular(tmp_path / "target", most=2)
    with pytest.raises(OSError, match="is a link"):
        open_regular(tmp_path / "dangling", os.O_RDWR | os.O_CREAT)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "text", [b"{", b"\xff{}", b"[" * 10_000, b"", b'{"a": 1}x', b"1" * 10_000, b"\0"]
)
def test_damaged_json_is_named_and_maps_nothing(tmp_path, text):
    path = tmp_path / "summary.json"
    path.write_bytes(text)
    with pytest.raises(RunError, match=r"summary\.json: damaged"):
        read_json(path)
    assert read_mapping(path) == {}


def test_json_of_another_kind_maps_nothing(tmp_path):
    path = tmp_path / "choices.json"
    assert read_mapping(path) == {}
    path.write_text("[1]")
    assert read_json(path) == [1]
    assert read_mapping(path) == {}
    path.write_text('{"a": 1}')
    assert read_mapping(path) == {"a": 1}
