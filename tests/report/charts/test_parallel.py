from __future__ import annotations

import re
from itertools import pairwise

import pytest

from ganforge.report.charts.parallel import (
    BOTTOM,
    COLORS,
    HEIGHT,
    LEFT,
    TOP,
    Axis,
    Line,
    legend,
    mixed,
    parallel,
)
from tests.report.pages import Page

SPAN = HEIGHT - TOP - BOTTOM


def test_numbers_are_to_scale():
    axis = Axis("lr", ("1", 2, "3"))
    assert axis.position("2") == pytest.approx(TOP + SPAN / 2)
    assert axis.position(3) == pytest.approx(TOP + SPAN * 0.04 / 1.08)
    assert [text for text, _ in axis.labels()] == ["1", "2", "3"]


def test_numbers_far_apart_are_on_a_logarithmic_axis():
    axis = Axis("lr", ("1e-5", "1e-4", "1e-3"))
    low, middle, high = (axis.position(value) for value in axis.values)
    assert low - middle == pytest.approx(middle - high)


@pytest.mark.parametrize("values", [("a", "b"), ("1", "b"), ("1", None), ("1", "1"), ("nan", "1")])
def test_all_else_is_words(values):
    axis = Axis("x", values)
    assert axis.scale is None
    words = list(dict.fromkeys("not set" if v is None else v for v in values))
    assert [text for text, _ in axis.labels()] == words
    assert axis.position(values[0]) == pytest.approx(TOP + SPAN * 0.5 / len(words))


def test_names_are_not_written_over_each_other():
    labels = Axis("x", tuple(f"word{n}" for n in range(200))).labels()
    heights = [y for _, y in labels]
    assert 20 <= len(labels) <= 25
    assert min(b - a for a, b in pairwise(heights)) >= 13


def test_colours_go_from_best_to_worst():
    assert mixed(0) == "#" + "".join(f"{c:02x}" for c in COLORS[0])
    assert mixed(0.5) == "#" + "".join(f"{c:02x}" for c in COLORS[1])
    assert mixed(1) == "#" + "".join(f"{c:02x}" for c in COLORS[2])


@pytest.mark.parametrize("higher", [False, True])
def test_a_line_for_each_job(higher):
    lines = [
        Line("failed", {"model": "wgan", "lr": 3}, None),
        Line("ten", {"model": "wgan", "lr": 1}, 10.0),
        Line("five", {"model": "dcgan", "lr": 2}, 5.0),
    ]
    page = Page(parallel(lines, "best fid", higher))
    page.assert_sound()
    failed, ten, five = page.all("path", class_="run")
    assert "scoreless" in failed["class"]
    assert "stroke" not in failed
    best, worst = (ten, five) if higher else (five, ten)
    assert (best["stroke"], worst["stroke"]) == (mixed(0), mixed(1))
    assert [len(re.findall("[ML]", line["d"])) for line in (failed, ten, five)] == [2, 3, 3]
    start = f"M{LEFT:.1f},{TOP + SPAN / 4:.1f}L"
    assert failed["d"].startswith(start)
    assert ten["d"].startswith(start)
    assert not five["d"].startswith(start)
    assert {"model", "lr", "best fid", "five: best fid 5", "failed: no score"} <= set(page.texts)


def test_one_score_has_the_colour_of_the_best():
    page = Page(parallel([Line("a", {"x": 1}, 7.0)], "fid", True) + legend())
    assert page.all("path", class_="run")[0]["stroke"] == mixed(0)
