from __future__ import annotations

import json
import re

import pytest

from ganforge.report.charts.chart import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    Series,
    figure,
)
from ganforge.report.charts.history import Curve, History, kind_of, training_charts
from tests.report.pages import Page


def drawn(*series, **others):
    text = figure(Chart("fid", series, **others))
    page = Page(text)
    page.assert_sound()
    return text, page


def points(commands):
    return [
        tuple(map(float, pair.split(","))) for pair in re.split("[ML]", commands.strip("Z"))[1:]
    ]


def test_where_points_lie():
    text, page = drawn(Series("fid", [(0, 10), (500, 30), (1000, 20)]))
    (line,) = page.all("path", class_="line")
    # 2 % of the width is free at either side, 4 % of the height above and below.
    across, up = (WIDTH - LEFT - RIGHT) / 1.04, (HEIGHT - TOP - BOTTOM) / 1.08
    first, middle, last = points(line["d"])
    assert first == pytest.approx((LEFT + 0.02 * across, HEIGHT - BOTTOM - 0.04 * up), abs=0.1)
    assert middle == pytest.approx((LEFT + 0.52 * across, HEIGHT - BOTTOM - 1.04 * up), abs=0.1)
    assert last == pytest.approx((LEFT + 1.02 * across, HEIGHT - BOTTOM - 0.54 * up), abs=0.1)
    (picture,) = page.all("svg")
    assert "fid from 10 to 20" in picture["aria-label"]
    low, high = float(picture["data-low"]), float(picture["data-high"])
    left, right = float(picture["data-left"]), float(picture["data-right"])
    assert (low, high, left, right) == pytest.approx((-20, 1020, LEFT, WIDTH - RIGHT))
    assert len(page.all("circle")) == 3
    assert "logarithmic" not in text


def test_axes_have_names_and_ticks():
    _, page = drawn(Series("fid", [(0, 10), (1000, 30)]), y="fid (lower is better)")
    texts = [text for text in page.texts if text]
    assert {"real images seen", "fid (lower is better)", "10", "20", "30", "200", "1k"} <= set(
        texts
    )


def test_a_switch_to_the_logarithm_where_it_shows_more():
    _, page = drawn(Series("fid", [(0, 1000), (1, 100), (2, 10)]))
    assert len(page.all("input", class_="log")) == 1
    linear, log = page.all("svg")
    assert ("hidden" in linear, "hidden" in log) == (False, True)
    a, b, c = (y for _, y in points(page.all("path", class_="line")[1]["d"]))
    assert b - a == pytest.approx(c - b, abs=0.2)
    assert len(page.all("path", class_="line")) == 2
    _, page = drawn(Series("loss", [(0, 1000), (1, 0), (2, 10)]))
    assert not page.all("input")


def test_the_band_is_the_spread():
    _, page = drawn(Series("fid", [(0, 10), (1, 20)], [2, 0]))
    (band,) = page.all("path", class_="band")
    top, right, _, bottom = points(band["d"])
    scale = (HEIGHT - TOP - BOTTOM) / 1.08 / 12  # pixels of one, between 8 and 20
    assert bottom[1] - top[1] == pytest.approx(4 * scale, abs=0.2)
    assert right == points(page.all("path", class_="line")[0]["d"])[1]


def test_a_band_below_zero_ends_at_a_logarithmic_axis():
    _, page = drawn(Series("fid", [(0, 10), (1, 1000)], [20, 0]))
    band = page.all("path", class_="band")[1]
    assert max(y for _, y in points(band["d"])) == pytest.approx(HEIGHT - BOTTOM, abs=0.1)


def test_values_for_the_pointer_are_exact():
    text, page = drawn(Series("a", [(0, 1 / 3)]), Series("b", [(5, 2)], color=3), Series("c", []))
    told = json.loads(re.search(r'class="values">(.*?)</script>', text)[1])
    assert told["series"][:2] == [
        {"name": "a", "x": [0], "y": [1 / 3]},
        {"name": "b", "x": [5], "y": [2]},
    ]
    buttons = page.all("button")
    assert [b["data-series"] for b in buttons] == ["0", "1", "2"]
    assert [g["data-series"] for g in page.all("g", class_="series")] == ["0", "1"]
    assert page.all("g", class_="c3")[0]["data-series"] == "1"


def test_what_is_alike_stands_in_one_chart():
    names = ["images_per_second", "generator/gradient_norm", "fid", "fid_std", "generator/loss"]
    names += ["discriminator/real_logit", "discriminator/loss", "discriminator/fake_logit", "empty"]
    curves = {n: Curve(n, [(1, 2)] if n != "empty" else []) for n in names}
    curves["generator/loss"] = Curve("generator/loss", [(1, 2)], lost=3)
    charts = training_charts(History(curves), {"fid"})
    assert [chart.title for chart in charts] == [
        "loss",
        "logit",
        "gradient norm",
        "images per second",
    ]
    assert [one.name for one in charts[1].series] == [
        "discriminator/real_logit",
        "discriminator/fake_logit",
    ]
    assert [one.color for one in charts[1].series] == [0, 1]
    assert charts[0].notes == ["generator/loss: 3 values are not finite and not drawn."]
    assert kind_of("regularizer/penalty") == "penalty"
