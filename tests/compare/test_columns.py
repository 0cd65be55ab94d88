from __future__ import annotations

import math

import pytest

from ganforge.compare.columns import columns_of
from ganforge.compare.figure import curve
from ganforge.compare.groups import group_runs
from ganforge.compare.report import Comparison, differences, why_not
from ganforge.runs.past import PastRun, find_runs
from tests.runs.past_runs import parsed, past_run, seeds, touch


def read(folder, by=()):
    groups = group_runs([PastRun.read(run) for run in find_runs([str(folder)])], list(by))
    return groups, columns_of(groups)


HINGE = {"settings": {"loss._target_": "losses.Hinge"}, "choices": {"loss": "hinge"}}


# ---------------------------------------------------------------------- values


def test_final_best_and_images_to_best(tmp_path):
    past_run(tmp_path / "a", 1, ((0, 1.0), (64, 8.0), (128, 3.0), (192, 5.0)))
    past_run(tmp_path / "b", 2, ((0, 1.0), (64, 5.0), (128, 7.0), (192, 9.0)))
    (group,), (column,) = read(tmp_path)
    assert column.spread(group, "final") == (2, 7.0, math.sqrt(8.0))
    assert column.spread(group, "best") == (2, 4.0, math.sqrt(2.0))  # never of step 0
    assert column.images_to_best(group) == (2, 96.0, math.sqrt(2048.0))


def test_higher_may_be_better(tmp_path):
    past_run(tmp_path / "a", 1, ((64, 8.0), (128, 3.0)), higher=True)
    (group,), (column,) = read(tmp_path)
    assert column.spread(group, "best").mean == 8.0
    assert column.images_to_best(group).mean == 64


def test_a_score_that_is_no_number_is_left_out_and_counted(tmp_path):
    past_run(tmp_path / "a", 1, ((64, 8.0), (128, None)))
    past_run(tmp_path / "b", 2)
    (group,), (column,) = read(tmp_path)
    assert column.spread(group, "final") == (1, 10.0, None)
    assert column.spread(group, "best").n == 2
    assert column.not_finite(group) == 1


def test_what_has_to_be_beaten_is_no_score(tmp_path):
    metrics = {"l1_input_baseline": {"value": 0.4, "features": "none"}}
    past_run(tmp_path / "a", metrics=metrics)
    assert read(tmp_path)[1] == []


@pytest.mark.parametrize(
    ("published", "expected"),
    [("fid_classifier", False), ("fid", False), ("is_AtoB", True), ("fidelity", None), ("x", None)],
)
def test_the_way_up_of_runs_that_do_not_say(tmp_path, published, expected):
    settings = {
        "metrics.is": {"_target_": "ganforge.metrics.InceptionScore"},
        "metrics.x": {"_target_": "somebodys.own.Score"},
    }
    past_run(tmp_path / "a", name=published, higher=None, settings=settings)
    (group,), (column,) = read(tmp_path)
    assert column.higher_is_better is expected
    assert column.spread(group, "best").n == (expected is not None)


@pytest.mark.parametrize("lacking", ["images_seen", "step", "fid_classifier"])
def test_points_without_images_seen_step_or_value_are_no_points(tmp_path, lacking):
    """Other writers, and older versions, left points that say less: the others count."""
    points = [{"step": n, "images_seen": 64 * n, "fid_classifier": 10.0 - n} for n in (1, 2, 3)]
    for place, gone in enumerate((None, "null")):
        history = [dict(point) for point in points]
        if gone is None:
            del history[2][lacking]
        else:
            history[2][lacking] = None
        past_run(tmp_path / str(place), place, history=history)
    (group,), (column,) = read(tmp_path)
    for one in column.of(group):
        assert one.curve == {64: 9.0, 128: 8.0}
        assert (one.best, one.images_to_best, one.final) == (8.0, 128, 10.0)


# ---------------------------------------------------------------------- protocols never mix


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"protocol": {"n_fake": 500}}, "fid_classifier (n_fake=500)"),
        ({"protocol": {"weights": "raw"}}, "fid_classifier (weights=raw)"),
        ({"protocol": {"features_weights": "ab"}}, "fid_classifier (features_weights=ab)"),
        ({"data": "mnist"}, "fid_classifier (data=mnist)"),
        ({"settings": {"data.image_size": 64}}, "fid_classifier (data.image_size=64)"),
        ({"settings": {"data.max_images": 10}}, "fid_classifier (data.max_images=10)"),
    ],
)
def test_another_protocol_is_another_column(tmp_path, change, title):
    past_run(tmp_path / "a", 1)
    past_run(tmp_path / "b", 2, **change)
    groups, columns = read(tmp_path)
    assert title in [column.title for column in columns]
    assert len(columns) == 2
    for column in columns:
        assert sum(len(column.of(group)) for group in groups) == 1
        assert not differences(column, groups, "final")


def test_settings_that_keep_the_reals_are_not_part_of_the_protocol(tmp_path):
    past_run(tmp_path / "a", 1)
    same = {"data.batch_size": 64, "data.mirror": True, "data.root": "elsewhere", "data.seed": 3}
    past_run(tmp_path / "b", 2, settings=same)
    assert len(read(tmp_path)[1]) == 1


def test_models_with_and_without_classes_share_a_column(tmp_path):
    past_run(tmp_path / "a")
    past_run(tmp_path / "b", protocol={"labels": "balanced"}, **HINGE)
    (column,) = read(tmp_path)[1]
    assert column.protocol["labels"] == "balanced where there are classes"
    assert column.title == "fid_classifier"
    past_run(tmp_path / "c", 2, protocol={"labels": "data"}, **HINGE)
    titles = [column.title for column in read(tmp_path)[1]]
    assert titles == [f"fid_classifier (labels={way})" for way in ("none", "balanced", "data")]


# ---------------------------------------------------------------------- what may be claimed


def test_differences_larger_than_the_spread(tmp_path):
    seeds(tmp_path / "a", (20.0, 21.0, 22.0))
    seeds(tmp_path / "b", (10.0, 11.0, 12.0), **HINGE)
    seeds(tmp_path / "c", (10.2, 11.2, 12.2), settings={"trainer.max_steps": 30})
    groups, (column,) = read(tmp_path)
    found = differences(column, groups, "final")
    assert [group.label for group in column.ranked(groups, "final")] == [
        "loss=hinge, trainer.max_steps=20",
        "loss=minimax, trainer.max_steps=30",
        "loss=minimax, trainer.max_steps=20",
    ]
    # Variances 1 and 1 of three seeds each: t = d / sqrt(2 / 3), 4 degrees of freedom.
    assert [one.test.difference for one in found] == pytest.approx([-0.2, -10.0, -9.8])
    assert [one.test.t for one in found] == pytest.approx(
        [d / math.sqrt(2 / 3) for d in (-0.2, -10.0, -9.8)]
    )
    assert [one.test.degrees for one in found] == pytest.approx([4.0] * 3)
    assert [one.seeds for one in found] == [(3, 3)] * 3
    said = [one.verdict(0.05) for one in found]
    assert said == ["within the spread", "larger than the spread", "larger than the spread"]
    assert found[1].p == pytest.approx(3 * found[1].test.p)


def test_nothing_is_claimed_from_one_seed(tmp_path):
    seeds(tmp_path / "a", (20.0, 21.0))
    seeds(tmp_path / "b", (10.0,), **HINGE)
    groups, (column,) = read(tmp_path)
    assert not differences(column, groups, "final")
    assert [why_not(column, group, "final") for group in groups] == ["", "one seed"]


def test_nothing_is_claimed_of_what_is_pooled(tmp_path):
    seeds(tmp_path / "a", (20.0, 21.0))
    seeds(tmp_path / "b", (10.0, 11.0), **HINGE)
    seeds(tmp_path / "c", (10.0, 11.0), **HINGE | {"settings": {"optimizer.generator.lr": 1}})
    groups, (column,) = read(tmp_path, ["loss"])
    assert not differences(column, groups, "final")
    assert "pooled" in why_not(column, groups[1], "final") + why_not(column, groups[0], "final")


def test_tests_count_seeds_and_no_seed_twice(tmp_path):
    """Two seeds of which each was run again, with other features or another evaluation."""
    for place, (final, settings) in enumerate(
        [
            (20.0, {"features": {"weights": "there.pth"}}),
            (21.0, {"callbacks.evaluation.every_n_steps": 7}),
            (22.0, {}),
        ]
    ):
        runs = seeds(tmp_path / f"a{place}", (final, final + 2), settings=settings)
        for run in runs:
            touch(run, 1000.0 + place)
    seeds(tmp_path / "b", (10.0, 11.0), **HINGE)
    groups, (column,) = read(tmp_path)
    (found,) = differences(column, groups, "final")
    assert found.seeds == (2, 2)
    assert found.test.difference == pytest.approx(10.5 - 23.0)  # of the newest
    assert found.test.degrees <= 2


def test_of_pooled_runs_seeds_are_counted_once(tmp_path):
    seeds(tmp_path / "a", (20.0, 21.0))
    seeds(tmp_path / "b", (10.0, 11.0), settings={"optimizer.generator.lr": 1})
    groups, (column,) = read(tmp_path, ["loss"])
    assert column.spread(groups[0], "final").n == 4
    assert column.seeds(groups[0]) == groups[0].seeds == 2
    tables = parsed(Comparison(groups, [column], "final", 0.05).markdown(None))
    (row,) = tables["fid_classifier: lower is better"]
    assert row["seeds"] == "2"


def test_seeds_that_never_vary_make_no_test(tmp_path):
    seeds(tmp_path / "a", (20.0, 20.0))
    seeds(tmp_path / "b", (10.0, 10.0), **HINGE)
    groups, (column,) = read(tmp_path)
    (found,) = differences(column, groups, "final")
    assert (found.test, found.p, found.verdict(0.05)) == (None, None, "no test: neither varies")


# ---------------------------------------------------------------------- curves


def test_curves_are_means_where_all_seeds_were_measured(tmp_path):
    past_run(tmp_path / "a", 1, ((0, 9.0), (64, 4.0), (128, 2.0), (192, 1.0)))
    past_run(tmp_path / "b", 2, ((0, 7.0), (64, 6.0), (100, 5.0), (128, None)))
    (group,), (column,) = read(tmp_path)
    assert curve(column, group) == [(0, 8.0, math.sqrt(2.0)), (64, 5.0, math.sqrt(2.0))]


def test_curves_of_seeds_without_common_points_have_no_mean(tmp_path):
    past_run(tmp_path / "a", 1, ((64, 4.0),))
    past_run(tmp_path / "b", 2, ((100, 5.0),))
    (group,), (column,) = read(tmp_path)
    assert curve(column, group) == []
    assert [one.curve for one in column.of(group)] == [{64: 4.0}, {100: 5.0}]
