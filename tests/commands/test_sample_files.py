from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.commands import sample_files
from ganforge.commands.sample_files import Samples, check_out, check_space, write_images
from ganforge.errors import ConfigError, RunError


def samples(n: int, labelled: bool = False, side: int = 8, block: int = 4) -> Samples:
    def made() -> Iterator[torch.Tensor]:
        for first in range(0, n, block):
            count = min(block, n - first)
            draws = torch.Generator().manual_seed(first)
            yield torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=draws)

    return Samples(
        n, made(), (lambda first, n: torch.arange(first, first + n) % 3) if labelled else None
    )


def test_an_array_is_what_numpy_would_have_written(tmp_path):
    write_images(samples(10, labelled=True), tmp_path / "a.npz")
    expected = torch.cat(list(samples(10).blocks)).permute(0, 2, 3, 1).numpy()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert sorted(found) == ["images", "labels"]
        assert np.array_equal(found["images"], expected)
        assert found["labels"].tolist() == [i % 3 for i in range(10)]
        assert found["labels"].dtype == np.int64
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_folder_may_have_a_dot_and_an_ending_capitals(tmp_path):
    write_images(samples(5), tmp_path / "exp_v1.5")
    assert len(list((tmp_path / "exp_v1.5").glob("*.png"))) == 5
    write_images(samples(4), tmp_path / "a.PNG")
    assert Image.open(tmp_path / "a.PNG").size == (2 * 66 + 2,) * 2


def test_memory_does_not_grow_with_the_number(tmp_path):
    def peak(n: int) -> int:
        tracemalloc.start()
        write_images(samples(n, side=32, block=8), tmp_path / "a.npz")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(8)
    assert peak(800) < peak(80) + 500_000  # of 2.2 MB more


def test_a_grid_is_bounded():
    with pytest.raises(ConfigError, match=r"out=FILE\.npz"):
        sample_files.check_grid(1_000_000, 64, 64)
    sample_files.check_grid(10_000, 64, 64)


def test_what_the_disk_has_no_room_for_is_refused(tmp_path, monkeypatch, capsys):
    first = next(samples(4).blocks)
    monkeypatch.setattr(sample_files.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    with pytest.raises(RunError, match=r"has 1\.0 GB free"):
        check_space(tmp_path / "folder", 10**7, first)
    check_space(tmp_path / "a.npz", 10**6, first)
    assert "1,000,000 samples take about 0.2 GB" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["file/x.png", "folder.png", "file", "file/folder", "x" * 300])
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ConfigError):
        check_out(tmp_path / name, points=False)
    for fine in ("new/folder/v1.5", "new/a.npz"):
        check_out(tmp_path / fine, points=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


@pytest.mark.parametrize("name", ["folder", "v1.5"])
def test_points_have_no_picture_each(tmp_path, name):
    with pytest.raises(ConfigError, match="density"):
        check_out(tmp_path / name, points=True)
