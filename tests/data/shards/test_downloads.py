"""Copies of remote shards: when they are made, and what makes room for them."""

import os
import threading
from collections import namedtuple

import pytest

from ganforge.data.shards import downloads
from ganforge.data.shards.downloads import Downloads
from ganforge.data.shards.entries import Shard
from ganforge.data.shards.index import ShardIndex
from ganforge.data.shards.remote import Remote

SIZE = 100
Usage = namedtuple("Usage", "free")


@pytest.fixture
def copies(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path))
    made = Downloads(Remote(), 10 * SIZE)
    made.folder.mkdir()
    return made


def shard(number):
    return Shard(f"http://h/{number}.tar", f"{number}.tar", "", ShardIndex(SIZE, [], [], [], []))


def copied(copies, number):
    path = copies.path(shard(number))
    path.write_bytes(b"0" * SIZE)
    os.utime(path, (number, number))
    return path


def test_copies_make_room_on_a_disk_that_is_fuller_than_the_limit_allows(copies, monkeypatch):
    """The limit has room for 10 copies, and the disk for one more if two of three are removed."""
    paths = [copied(copies, number) for number in range(3)]

    def usage(folder):
        present = sum(path.exists() for path in paths)
        return Usage(downloads._SPARE + (2 - present) * SIZE)

    monkeypatch.setattr(downloads.shutil, "disk_usage", usage)
    assert copies._make_room(SIZE)
    assert [path.exists() for path in paths] == [False, False, True]


def test_shards_expected_before_the_thread_has_started_are_copied(copies, monkeypatch):
    started, copying = [], threading.Event()

    class Late(threading.Thread):
        def start(self):
            started.append(super().start)

    monkeypatch.setattr(downloads.threading, "Thread", Late)
    monkeypatch.setattr(copies, "_copy_all", lambda expected: copying.set())
    copies.expect([shard(0)])
    started[0]()
    assert copying.wait(10)
