from __future__ import annotations

import math

from ganforge.report.charts.history import History, thinned

HEAD = "step,images_seen,seconds,fid,generator/loss\n"


def write(folder, *rows):
    path = folder / "metrics.csv"
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return path


def test_curves_over_images_seen(tmp_path):
    history = History.read(write(tmp_path, "10,640,1,,0.5", "20,1280,2,9.25,-1e-3"))
    assert list(history.curves) == ["fid", "generator/loss"]
    assert history.curves["fid"].points == [(1280, 9.25)]
    assert history.curves["generator/loss"].points == [(640, 0.5), (1280, -0.001)]
    assert history.images == {10: 640, 20: 1280}
    assert history.torn == 0


def test_values_that_are_not_finite_are_counted(tmp_path):
    history = History.read(write(tmp_path, "1,64,,,nan", "2,128,,inf,1", "3,192,,word,-inf"))
    loss, fid = history.curves["generator/loss"], history.curves["fid"]
    assert (loss.points, loss.lost) == ([(128, 1.0)], 2)
    assert (fid.points, fid.lost) == ([], 1)


def test_incomplete_rows_are_skipped(tmp_path):
    history = History.read(
        write(tmp_path, "1,64,1,2,3", "2,1", "x,y,z", "3,192,1,2,3,4,5", "\0\0\0")
    )
    assert history.curves["fid"].points == [(64, 2.0)]
    assert history.torn == 4


def test_a_run_without_a_table_has_logged_nothing(tmp_path):
    assert History.read(tmp_path / "metrics.csv") == History()
    (tmp_path / "metrics.csv").write_bytes(b"\xff\xfe\x00")
    assert History.read(tmp_path / "metrics.csv").curves == {}


def test_a_thinned_curve_keeps_its_ends_and_its_spikes():
    points = [(float(x), math.sin(x / 50)) for x in range(10_000)]
    points[4321] = (4321.0, 40.0)
    points[7777] = (7777.0, -40.0)
    kept = thinned(points, 100)
    assert len(kept) <= 100
    assert kept == sorted(kept)
    assert {points[0], points[-1], points[4321], points[7777]} <= set(kept)
    assert set(kept) <= set(points)


def test_few_points_stay():
    points = [(float(x), 1.0) for x in range(8)]
    assert thinned(points, 8) == points
    assert thinned(points, 4) == [points[0], points[1], points[-1]]
