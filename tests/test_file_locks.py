from __future__ import annotations

import errno
import os

import pytest

from ganforge import file_locks
from ganforge.file_locks import kept_from_children, try_lock
from tests.support.forking import fork, wait


@pytest.fixture
def opened(tmp_path):
    """Opens the same file anew at each call, as another process would."""
    descriptors = []

    def opened() -> int:
        descriptors.append(os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT))
        return descriptors[-1]

    yield opened
    for descriptor in descriptors:
        os.close(descriptor)


def test_one_holder_or_several_that_share(opened):
    first, second = opened(), opened()
    assert try_lock(first, shared=True) is try_lock(second, shared=True) is True
    assert try_lock(second) is False
    assert try_lock(first, shared=True, wait=True) is True


@pytest.mark.parametrize(
    ("number", "doubtful", "result"),
    [
        (errno.EAGAIN, None, False),
        (errno.EACCES, True, True),
        (errno.ENOLCK, False, None),
        (errno.ENOSYS, False, None),
        (errno.EIO, False, False),
        (errno.EIO, None, None),
    ],
)
def test_errors(opened, monkeypatch, number, doubtful, result):
    def fails(descriptor: int, kind: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file_locks.fcntl, "flock", fails)
    assert try_lock(opened(), doubtful=doubtful) is result
    monkeypatch.setattr(file_locks, "fcntl", None)
    assert try_lock(opened(), doubtful=doubtful) is None


def test_a_child_does_not_keep_a_lock(tmp_path, opened):
    path, ended = tmp_path / "held", []
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)

    def child() -> None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)

    with kept_from_children(descriptor, before_closing=lambda: ended.append(1)):
        assert try_lock(descriptor) is True
        assert wait(fork(child)) == 0
        assert ended == []
    assert ended == [1]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
