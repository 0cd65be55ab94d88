from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from ganforge.commands.cache import age_as_text, bytes_as_text
from ganforge.metrics.cache_folder import entries


@pytest.fixture
def kept(tmp_path, monkeypatch, type_in):
    folder = tmp_path / "kept"
    for name, size in (
        ("classifiers/digits-1.pt", 1500),
        ("statistics/digits-2.pt", 10),
        ("statistics/cifar10-3.pt", 20),
        ("data/mnist/images.gz", 40),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0" * size)
    monkeypatch.setenv("GANFORGE_CACHE", str(folder))
    return folder


def names():
    return {entry.path.name for entry in entries()}


def test_what_is_kept_is_listed(kept, type_in):
    typed = type_in("cache")
    assert typed.code == 0
    for word in ("classifiers", "digits-1.pt", "1.5 kB", "digits-2.pt", "cifar10-3.pt"):
        assert word in typed.out
    assert re.search(r"│ \d+ s ", typed.out)
    assert "images.gz" not in typed.out  # downloads are the user's
    assert f"1.5 kB in {kept}" in typed.out


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("classifiers", {"digits-2.pt", "cifar10-3.pt"}),
        ("statistics", {"digits-1.pt"}),
        ("all", set()),
    ],
)
def test_a_kind_is_cleared(kept, type_in, kind, left):
    assert type_in("cache", f"clear={kind}").code == 0
    assert names() == left
    assert (kept / "data" / "mnist" / "images.gz").is_file()


def test_decoded_images_are_listed_and_cleared(kept, type_in):
    (kept / "images").mkdir()
    for name, age in (("celeba-64px-1.images", 0), ("a.lock", 3700), ("b.lock", 0)):
        (kept / "images" / name).write_bytes(b"0" * 3000)
        os.utime(kept / "images" / name, (time.time() - age,) * 2)
    listed = type_in("cache").out
    assert re.search(r"images +│ celeba-64px-1\.images +│ 3\.0 kB", listed)
    assert "removed 2 files, 6.0 kB" in type_in("cache", "clear=images").out
    assert [path.name for path in (kept / "images").iterdir()] == ["b.lock"]


def test_what_another_process_is_writing_is_left_to_it(kept, type_in):
    statistics = kept / "statistics"
    fresh, stale = statistics / f"a.pt.tmp.{os.getppid()}", statistics / "b.pt.tmp.999999999"
    for path in (fresh, stale):
        path.write_bytes(b"0")
    typed = type_in("cache", "clear=all")
    assert "removed 3 files" in typed.out
    assert list(statistics.iterdir()) == [fresh]


def test_what_a_killed_process_left_is_listed_and_cleared_after_an_hour(kept, type_in):
    classifiers = kept / "classifiers"
    killed, writing = classifiers / "tmpk1ll3d.tmp", classifiers / "tmpwr1t1ng.tmp"
    dead, living = classifiers / "b.pt.tmp.999999999", classifiers / f"c.pt.tmp.{os.getppid()}"
    for path in (killed, writing, dead, living):
        path.write_bytes(b"0" * 7)
    for path, seconds in ((killed, 3700), (writing, 3500), (dead, 3700), (living, 3700)):
        os.utime(path, (time.time() - seconds,) * 2)
    listed = type_in("cache").out
    assert killed.name in listed
    assert dead.name in listed
    assert writing.name not in listed
    assert living.name not in listed
    assert "removed 3 files, 1.5 kB" in type_in("cache", "clear=classifiers").out
    assert set(classifiers.iterdir()) == {writing, living}


def test_nothing_heavy_is_imported(kept):
    code = """
import sys
from ganforge import cli
assert cli.run(["cache"]) == 0
print([name for name in ("torch", "lightning") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_an_empty_cache(tmp_path, monkeypatch, type_in):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "none"))
    assert " is empty" in type_in("cache").out
    assert "removed 0 files" in type_in("cache", "clear=statistics").out


def test_another_kind_is_refused(kept, type_in):
    typed = type_in("cache", "clear=classifier")
    assert typed.code == 2
    assert "clear=classifier: did you mean 'classifiers'? legal: all, classifiers" in typed.err
    assert type_in("cache", "clear=data").code == 2


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (950, "950 B"), (1234, "1.2 kB"), (34.5e6, "34.5 MB")]
)
def test_sizes(size, text):
    assert bytes_as_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 s"), (700, "12 min"), (20_000, "6 h"), (300_000, "3 days")]
)
def test_ages(seconds, text):
    assert age_as_text(seconds) == text
