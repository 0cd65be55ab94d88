from __future__ import annotations

import pytest

from ganforge.compare.groups import group_runs
from ganforge.errors import ConfigError, RunError
from ganforge.runs.past import PastRun, find_runs, flatten
from tests.runs.past_runs import past_run, touch


def grouped(folder, by=()):
    return group_runs([PastRun.read(run) for run in find_runs([str(folder)])], list(by))


def labels(groups):
    return [group.label for group in groups]


# ---------------------------------------------------------------------- which runs there are


def test_runs_are_found_wherever_they_lie(tmp_path):
    ours = [past_run(tmp_path / place) for place in ("a/1", "a/0-loss=hinge,seed=1", "b/x[2]/y")]
    (tmp_path / "latest").symlink_to(ours[0])
    (ours[0] / "checkpoints").mkdir()
    assert set(find_runs([str(tmp_path)])) == set(ours)
    assert find_runs([str(tmp_path / "latest")]) == [ours[0]]
    assert find_runs([str(ours[2])]) == [ours[2]]
    assert set(find_runs([str(tmp_path / "a" / "*")])) == set(ours[:2])
    assert set(find_runs([str(tmp_path / "**" / "y"), str(ours[2])])) == {ours[2]}


@pytest.mark.parametrize("pattern", ["nowhere", "*.png", "empty"])
def test_no_run_there(tmp_path, pattern):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="no run folder there or below"):
        find_runs([str(tmp_path / pattern)])


def test_dotted_keys():
    nested = {"a": {"b": {"c": 1}, "d": {}}, "e": [{"f": 2}]}
    assert dict(flatten(nested)) == {"a.b.c": 1, "a.d": {}, "e": [{"f": 2}]}


def test_a_damaged_summary_is_no_summary(tmp_path):
    run = past_run(tmp_path / "run")
    for text in ("{", "[1]", '{"metrics": 3}'):
        (run / "summary.json").write_text(text)
        assert PastRun.read(run).status == "unknown"
    (run / "summary.json").unlink()
    assert PastRun.read(run).summary == {}
    (run / "composed.yaml").write_text("a: [")
    with pytest.raises(RunError, match=r"composed.yaml: damaged"):
        PastRun.read(run)


# ---------------------------------------------------------------------- which belong together


def test_seeds_are_one_group(tmp_path):
    for seed in (1, 2, 3):
        past_run(tmp_path / str(seed), seed, settings={"name": f"of-seed-{seed}"})
    (group,) = grouped(tmp_path)
    assert group.label == "model=dcgan, data=digits"
    assert (group.seeds, group.pooled, group.omitted) == (3, [], [])


@pytest.mark.parametrize(
    "settings",
    [
        {"logger.csv": {}},
        {"callbacks.evaluation.n": 500},
        {"callbacks.samples": {}},
        {"callbacks.samples": None},
        {"metrics": {}},
        {"features": {"weights": "there.pth"}},
        {"trainer.log_every_n_steps": 1},
        {"data.workers": 4},
        {"tags": ["new"]},
    ],
)
def test_what_is_watched_makes_no_other_experiment(tmp_path, settings):
    past_run(tmp_path / "a", 1)
    past_run(tmp_path / "b", 2, settings=settings)
    assert len(grouped(tmp_path)) == 1


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({"optimizer.generator.lr": 0.1}, "optimizer.generator.lr="),
        ({"trainer.max_steps": 40}, "trainer.max_steps="),
        ({"data.seed": 7}, "data.seed="),
        ({"callbacks.mine": {"_target_": "mine.Annealing"}}, "callbacks.mine._target_="),
    ],
)
def test_any_other_setting_makes_one(tmp_path, settings, label):
    past_run(tmp_path / "a", 1)
    past_run(tmp_path / "b", 2, settings=settings)
    assert len(grouped(tmp_path)) == 2
    assert label in "".join(labels(grouped(tmp_path)))


def test_labels_are_as_short_as_can_be(tmp_path):
    past_run(tmp_path / "a", choices={"model": "dcgan", "loss": "minimax"})
    hinge = {"loss._target_": "Hinge", "trainer.max_steps": 9}
    past_run(tmp_path / "b", settings=hinge, choices={"model": "sngan", "loss": "hinge"})
    slow = hinge | {"optimizer.generator.lr": 1e-4, "optimizer.discriminator.lr": 1e-4}
    past_run(tmp_path / "c", settings=slow, choices={"model": "sngan", "loss": "hinge"})
    told = [
        "model=dcgan, optimizer.discriminator.lr=0.001",
        "model=sngan, optimizer.discriminator.lr=0.001",
        "model=sngan, optimizer.discriminator.lr=0.0001",
    ]
    assert labels(grouped(tmp_path)) == told


def test_what_only_measures_labels_no_experiment(tmp_path):
    past_run(tmp_path / "a", choices={"features": "classifier", "metrics": "[fid]"})
    faster = {"optimizer.generator.lr": 0.1}
    past_run(tmp_path / "b", settings=faster, choices={"features": "auto", "metrics": "[kid]"})
    told = ["optimizer.generator.lr=0.001", "optimizer.generator.lr=0.1"]
    assert labels(grouped(tmp_path)) == told


def test_labels_are_different_even_if_they_look_alike(tmp_path):
    past_run(tmp_path / "a", seed=0)
    past_run(tmp_path / "b", seed=0, settings={"data.seed": "${ seed}"})
    found = labels(grouped(tmp_path))
    assert len(set(found)) == 2


def test_the_newest_completed_run_of_a_seed_counts(tmp_path):
    runs = [past_run(tmp_path / name, seed=1) for name in "abc"]
    past_run(tmp_path / "d", seed=2, status="failed", error="out of memory\nat line 3")
    for place, run in enumerate((runs[1], runs[0], runs[2])):
        touch(run, 1000.0 + place)
    (runs[2] / "summary.json").write_text("")
    touch(runs[2], 2000.0)
    (group,) = grouped(tmp_path)
    assert [run.path for run in group.runs] == [runs[0]]
    assert {one.run.path.name: one.reason for one in group.omitted} == {
        "b": "seed 1 again: a newer run counts",
        "c": "unknown",
        "d": "failed",
    }


def test_a_seed_measured_by_other_scores_is_no_second_seed(tmp_path):
    older = past_run(tmp_path / "a", 1, settings={"metrics": {"fid": {"_target_": "F"}}})
    newer = past_run(tmp_path / "b", 1, settings={"metrics": {"kid": {}}}, name="kid_classifier")
    past_run(tmp_path / "c", 2)
    for place, run in enumerate((older, newer)):
        touch(run, 1000.0 + place)
    (group,) = grouped(tmp_path)
    assert group.seeds == len(group.runs) == 2
    assert newer in [run.path for run in group.runs]
    (omitted,) = group.omitted
    assert omitted.run.path == older
    assert omitted.reason == "seed 1 again: a newer run counts, which has no fid_classifier"


# ---------------------------------------------------------------------- by=


def test_by_pools_and_says_so(tmp_path):
    for place, (loss, rate) in enumerate([("hinge", 1), ("hinge", 2), ("minimax", 1)]):
        settings = {"optimizer.generator.lr": rate, "loss._target_": f"losses.{loss}"}
        past_run(tmp_path / str(place), 1, settings=settings, choices={"loss": loss})
    groups = grouped(tmp_path, ["loss"])
    assert labels(groups) == ["loss=hinge", "loss=minimax"]
    assert [group.pooled for group in groups] == [["optimizer.generator.lr"], []]
    assert [len(group.runs) for group in groups] == [2, 1]
    assert groups[0].seeds == 1
    by_both = grouped(tmp_path, ["loss", "optimizer.generator.lr"])
    assert labels(by_both)[1] == "loss=hinge, optimizer.generator.lr=2"


def test_by_follows_interpolations_and_classes(tmp_path):
    past_run(tmp_path / "a", 4)
    (run,) = grouped(tmp_path)[0].runs
    assert run.setting("model.seed") == 4
    assert run.setting("optimizer.generator.lr") == 0.001
    assert run.setting("data._target_") == "ganforge.data.Digits"
    (run.path / "choices.json").unlink()
    assert PastRun.read(run.path).setting("loss") == "MinimaxLoss"


def test_by_what_no_run_has(tmp_path):
    past_run(tmp_path / "a")
    with pytest.raises(ConfigError, match=r"by=modle: no run has .* did you mean 'model'\?"):
        grouped(tmp_path, ["modle"])
