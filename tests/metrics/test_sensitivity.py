"""Which corruptions of real digits each score sees, and which it can't.

The corruptions are those of benchmarks/metric_sensitivity.py, whose tables show more levels.
"""

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from ganforge.data.images import to_float
from ganforge.data.sets.digits import Digits
from ganforge.metrics.features import classifier_training
from ganforge.metrics.features.classifier import ClassifierFactory

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "metric_sensitivity.py"
LEVELS = {
    "noise": (16, 64),
    "blur": (1, 3),
    "dropped": (3, 9),
    "duplicates": (29, 2),
    "copies": (0.5, 1),
}

# Scores that move with every level: by corruption those that rise, then those that fall.
MOVES = {
    "noise": (
        "fid kid intra_fid data_copying",
        "is precision recall density coverage memorization",
    ),
    "blur": (
        "fid kid intra_fid diversity_ms_ssim data_copying",
        "is recall coverage memorization",
    ),
    "dropped": (
        "fid kid intra_fid",
        "is recall coverage label_agreement normalized_mutual_information",
    ),
    "duplicates": ("fid kid intra_fid", "recall coverage"),
    "copies": ("memorization", "data_copying"),
}
# Of these the strongest level tells, but weak ones are lost among the errors of a classifier.
ENDS = {
    "noise": "label_agreement normalized_mutual_information",
    "blur": "label_agreement normalized_mutual_information precision density",
    "dropped": "classification_accuracy",
    "duplicates": "classification_accuracy",
}
# Scores that don't get worse by more than so much at any level.
BLIND = {
    "noise": {"diversity_ms_ssim": 0.02},
    "dropped": {"precision": 0.1, "density": 0.2},
    "duplicates": {
        "is": 0.2,
        "precision": 0.1,
        "density": 0.2,
        "label_agreement": 0.02,
        "normalized_mutual_information": 0.04,
        "memorization": 0.15,
        "diversity_ms_ssim": 0.1,
    },
    "copies": {
        "fid": 0,
        "kid": 0,
        "intra_fid": 0,
        "precision": 0.01,
        "recall": 0.01,
        "coverage": 0.01,
        "density": 0.1,
        "is": 0.2,
        "label_agreement": 0.02,
        "normalized_mutual_information": 0.04,
        "classification_accuracy": 0.03,
        "diversity_ms_ssim": 0.03,
    },
}
# Seconds of training each time: only where it says something.
TRAINED = [("dropped", 9), ("duplicates", 2), ("copies", 1)]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT.stem] = module  # where dataclasses look for its annotations
    spec.loader.exec_module(module)
    yield module
    del sys.modules[SCRIPT.stem]


@pytest.fixture(scope="module")
def dealt(script):
    return script.Partition(Digits(), 0)


@pytest.fixture(scope="module")
def found(script, dealt, tmp_path_factory):
    """Scores by corruption, those of uncorrupted images first, then level by level."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier_training, "LEAST_SEEN", 6000)  # for speed
        folder = str(tmp_path_factory.mktemp("classifiers"))
        extractor = ClassifierFactory(folder).build(Digits(), script.CPU)
        patch.setattr(classifier_training, "LEAST_SEEN", 2000)
        everything = script.Evaluator(dealt, extractor, list(script.METRICS))
        fast = [name for name in script.METRICS if name not in script.SLOW]
        quick = script.Evaluator(dealt, extractor, fast)
        clean = everything(to_float(dealt.fresh))
        values = {}
        for name, levels in LEVELS.items():
            values[name] = [clean]
            for level in levels:
                evaluator = everything if (name, level) in TRAINED else quick
                values[name].append(evaluator(script.CORRUPTIONS[name].make(dealt, level)))
    return values


def worsening(script, found, corruption, metric):
    """How much worse than uncorrupted each level is."""
    up = script.METRICS[metric].higher_is_better
    sign = script.TOWARDS_COPIES[metric] if up is None else (-1 if up else 1)
    clean, *levels = found[corruption]
    return [sign * (values[metric] - clean[metric]) for values in levels if metric in values]


@pytest.mark.parametrize("corruption", MOVES)
def test_scores_move_with_every_level_of_what_they_see(found, corruption):
    for names, sign in zip(MOVES[corruption], (1, -1), strict=True):
        for metric in names.split():
            values = [sign * level[metric] for level in found[corruption]]
            assert all(low < high for low, high in pairwise(values)), (metric, values)


@pytest.mark.parametrize("corruption", ENDS)
def test_what_is_seen_of_a_strong_corruption_alone(script, found, corruption):
    for metric in ENDS[corruption].split():
        changes = worsening(script, found, corruption, metric)
        assert changes[-1] > 0.05, (metric, changes)


@pytest.mark.parametrize("corruption", BLIND)
def test_scores_do_not_get_worse_with_what_they_cannot_see(script, found, corruption):
    for metric, tolerance in BLIND[corruption].items():
        changes = worsening(script, found, corruption, metric)
        assert changes, metric
        assert max(changes) <= tolerance, (metric, changes)


def test_copies_alone_are_the_best_that_distances_know(found):
    copies = found["copies"][-1]
    assert abs(copies["fid"]) < 1e-6
    assert abs(copies["intra_fid"]) < 1e-6
    assert copies["precision"] == copies["recall"] == copies["memorization"] == 1
    assert copies["data_copying"] < -10


def test_docstrings_state_what_a_score_cannot_see(script):
    for name, metric in script.METRICS.items():
        assert script.blindness(metric), name
    for metric in ("fid", "kid", "intra_fid", "is", "precision", "recall", "density", "coverage"):
        assert "copies of training images" in script.blindness(script.METRICS[metric]), metric


def test_no_image_is_in_two_parts_of_a_deal(dealt):
    parts = [dealt.reals(1000)[0], dealt.fresh, dealt.reals(1000, "test")[0]]
    assert [len(part) for part in parts] == [580, 580, 290]
    assert (torch.bincount(dealt.real_labels()) == 58).all()
    everything, counts = torch.unique(torch.cat(parts).flatten(1), dim=0, return_counts=True)
    assert len(everything) == 1450
    assert counts.max() == 1


def test_corruptions_begin_with_the_images_as_they_are_and_change_what_they_say(script, dealt):
    fresh = to_float(dealt.fresh)
    for corruption in script.CORRUPTIONS.values():
        assert torch.equal(corruption.make(dealt, corruption.levels[0]), fresh)
    make = {name: corruption.make for name, corruption in script.CORRUPTIONS.items()}
    kept = dealt.real_labels() < 4
    dropped = make["dropped"](dealt, 6)
    assert torch.equal(dropped[kept], fresh[kept])
    assert len(torch.unique(dropped.flatten(1), dim=0)) == 4 * 58
    assert len(torch.unique(make["duplicates"](dealt, 2).flatten(1), dim=0)) == 20
    half = make["copies"](dealt, 0.5)
    assert torch.equal(half[:290], to_float(dealt.reals(290)[0]))
    assert torch.equal(half[290:], fresh[290:])
