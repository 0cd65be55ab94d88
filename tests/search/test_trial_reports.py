from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ganforge.models.dcgan import DCGAN
from ganforge.search.trial_reports import _value
from tests.support.configs import DATA, TRAINER

optuna = pytest.importorskip("optuna")

SEARCH = [
    "train",
    "tune=learning_rates",
    "model=dcgan",
    *DATA,
    *TRAINER,
    "network.generator.width=2",
    "network.discriminator.width=2",
    "features._target_=tests.support.small_features.SmallFactory",
    "metrics=[fid]",
    "logger=csv",
    "~callbacks.samples",
    "~callbacks.progress",
    "callbacks.evaluation.every_n_steps=2",
    "callbacks.evaluation.n=16",
    "callbacks.checkpoints.every_n_steps=2",
    "trainer.max_steps=4",
    "sampler=random",
]


def test_trials_report_their_scores_and_are_pruned(type_in, tmp_path):
    """Real trainings: what the study knows of each is what its run folder says."""
    typed = type_in(*SEARCH, "tune.n_trials=4", "pruner=asha", "tune.pruner.min_steps=1")
    assert typed.code == 0, typed.err
    (folder,) = (tmp_path / "logs" / "multirun").glob("*/*")
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "study.log"))
    storage = optuna.storages.JournalStorage(backend)
    (study,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=study, storage=storage).trials
    states = [trial.state.name for trial in trials]
    assert {"COMPLETE", "PRUNED"} == set(states)
    for trial in trials:
        summary = json.loads((Path(trial.user_attrs["folder"]) / "summary.json").read_text())
        points = {p["step"]: p["fid_small"] for p in summary["history"] if p["step"]}
        best = {n: min(v for m, v in points.items() if m <= n) for n in points}
        assert trial.intermediate_values == pytest.approx(best)
        done = trial.state.name == "COMPLETE"
        assert summary["status"] == ("completed" if done else "pruned")
        assert summary["step"] == (4 if done else 2)
        assert trial.value == pytest.approx(min(points.values()))


def test_a_collapsed_trial_is_pruned(type_in, tmp_path, monkeypatch):
    draw = DCGAN.sample

    def alike(self, n, seed, weights="ema", start=0, labels=None):
        images = draw(self, n, seed=seed, weights=weights, start=start, labels=labels)
        return images if self.iteration == 0 else images * 0 + images.mean(0, keepdim=True)

    monkeypatch.setattr(DCGAN, "sample", alike)
    typed = type_in(*SEARCH, "tune.n_trials=1")
    assert typed.code == 1
    assert "collapsed: the diversity of images fell from" in typed.out
    assert "at step 2" in typed.out


def test_a_diverged_trial_is_pruned(type_in, tmp_path):
    typed = type_in(*SEARCH, "tune.n_trials=1", "optimizer.generator.lr=1e30,1e31")
    (record,) = tmp_path.rglob("sweep.json")
    (job,) = json.loads(record.read_text())["jobs"]
    assert job["status"] == "pruned", typed.err
    assert "not finite" in job["error"]


def test_only_scores_are_reported():
    point = {"step": 2, "images_seen": 128, "fid_small": 3.0}
    assert _value(point, "fid") == 3.0
    assert _value(point, "step") is _value(point, "images_seen") is None


def test_watching_does_not_touch_the_training(type_in, tmp_path):
    """A trial has the weights, bit for bit, of the same run on its own."""
    fixed = [word for word in SEARCH if word not in ("tune=learning_rates", "sampler=random")]
    lr = "optimizer.generator.lr"
    fixed.append("optimizer.discriminator.lr=0.002")
    assert type_in(*fixed, f"{lr}=0.001").code == 0
    searched = ["tune=learning_rates", "tune.n_trials=1", "sampler=random", f"{lr}=choice(0.001)"]
    typed = type_in(*fixed, *searched)
    assert typed.code == 0, typed.err
    alone, trial = sorted(tmp_path.rglob("last.ckpt"))[::-1]
    both = [torch.load(p, weights_only=False)["state_dict"] for p in (alone, trial)]
    assert both[0].keys() == both[1].keys()
    assert all(torch.equal(both[0][key], both[1][key]) for key in both[0])
