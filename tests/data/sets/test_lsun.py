import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from ganforge.data.sets.lsun import LSUN
from ganforge.errors import DataError
from tests.data.drawings import RED, encoded, flat


class Database(dict):
    """Stands for an lmdb environment and its transaction, whose keys and values are bytes."""

    def begin(self):
        return nullcontext(self)

    def cursor(self):
        return SimpleNamespace(iternext=lambda keys, values: iter(sorted(self)))


@pytest.fixture
def root(tmp_path, monkeypatch):
    stored = Database({b"\xff%d" % i: encoded(flat(RED, (30, 20)), "WEBP") for i in range(6)})

    def opened(path, readonly, lock, readahead, meminit):
        assert path.endswith("_lmdb")
        return stored

    monkeypatch.setitem(sys.modules, "lmdb", SimpleNamespace(open=opened, Error=OSError))
    for part in ("train", "val"):
        (tmp_path / f"cat_{part}_lmdb").mkdir()
        (tmp_path / f"cat_{part}_lmdb" / "data.mdb").touch()
    return tmp_path


def test_reads_the_images_of_a_category(root):
    data = LSUN(root=str(root), category="cat", image_size=16, batch_size=2)
    data.prepare_data()
    assert (data.size("train"), data.size("test")) == (6, 6)
    assert data.reals(6)[0].shape == (6, 3, 16, 16)


def test_a_missing_category_is_named_with_what_is_there(root):
    message = "contains cat_train_lmdb, cat_val_lmdb. Put dog_train_lmdb/data.mdb.*fyu/lsun"
    with pytest.raises(DataError, match=message):
        LSUN(root=str(root), category="dog").prepare_data()


def test_without_root_it_says_that_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_DATA", str(tmp_path))
    with pytest.raises(
        DataError, match=r"data.root=PATH to their folder\. LSUN is not downloaded auto"
    ):
        LSUN().prepare_data()


def test_the_missing_package_is_named(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(DataError, match=r"uv sync --extra lsun, or pip install .ganforge\[lsun\]"):
        LSUN(root=str(root), category="cat").setup()
