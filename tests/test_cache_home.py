from __future__ import annotations

import os
import pwd
import stat
import tempfile
from pathlib import Path

import pytest

from ganforge.data.files.download import cache_folder
from ganforge.paths import cache_root, user_cache


@pytest.fixture
def homeless(tmp_path, monkeypatch):
    """An unknown user id, as in a container without HOME."""

    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setenv("HOME", "")  # restored afterwards
    for name in ("HOME", "GANFORGE_CACHE", "GANFORGE_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.usefixtures("homeless")
def test_without_a_home_everything_goes_to_one_temporary_folder(tmp_path, caplog):
    home = tmp_path / f"ganforge-home-{os.getuid()}"
    assert cache_root() == user_cache() == home / ".cache" / "ganforge"
    assert cache_folder() == cache_root() / "data"
    assert Path("~/x").expanduser() == home / "x"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    (line,) = [record.getMessage() for record in caplog.records]
    assert str(home) in line
    assert "GANFORGE_CACHE" in line


@pytest.mark.usefixtures("homeless")
def test_a_temporary_home_that_others_can_write_to_is_not_used(tmp_path):
    planted = tmp_path / f"ganforge-home-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    assert planted not in cache_root().parents


def test_the_variable_decides(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GANFORGE_CACHE", "~/shared")
    assert cache_root() == tmp_path / "shared"
    monkeypatch.setenv("GANFORGE_CACHE", "")
    assert cache_root() == tmp_path / ".cache" / "ganforge"
