"""Requests for classes, and data without labels."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.callbacks.evaluation import Evaluation
from ganforge.cli import run
from ganforge.commands.train import train
from ganforge.config.check import check
from ganforge.config.compose import compose_config, options
from ganforge.errors import ConfigError
from ganforge.metrics.features.classifier_training import ClassifierNetwork, Trained
from ganforge.paths import conf_dir
from tests.support.configs import DATA, TRAINER, shrunk, take_steps, tiny

TOLD = ["cgan", "acgan", "projection"]


def refusal(*overrides):
    with pytest.raises(ConfigError) as error:
        check(compose_config(list(overrides)))
    return str(error.value)


# ---------------------------------------------------------------------- rejected requests


def test_commands_for_unlabelled_data_select_an_unconditional_model():
    """The default model is conditional; the commands documented in conf/ must still be valid."""
    files = sorted(conf_dir().rglob("*.yaml"))
    text = "\n".join(path.read_text() for path in files)
    commands = [words.split() for words in re.findall(r"python train\.py ([^#\n]*)", text)]
    unlabelled = {"data=celeba", "data=folder", "data=lsun", "data=stacked_digits"}
    unlabelled |= {"data=stacked_mnist", "condition=none"}
    found = [words for words in commands if unlabelled & {*words}]
    assert len(found) > 8
    for words in found:
        assert any(word.startswith("model=") for word in words), words


@pytest.mark.parametrize(
    ("model", "data"),
    [("cgan", "celeba"), ("acgan", "lsun"), ("projection", "fake data.num_classes=0")],
)
def test_a_conditional_model_rejects_unlabeled_data_and_lists_suitable_data(model, data):
    message = refusal(f"model={model}", *f"data={data}".split())
    assert f"data={data.split()[0]} has none" in message
    for fitting in ("cifar10", "digits", "fashion_mnist", "mnist"):
        assert fitting in message
    for unfitting in ("lsun", "celeba"):
        assert unfitting not in message.partition("Data with labels")[2]
    assert "data=folder data.path=PATH with a folder for each class" in message


def test_a_folder_without_class_folders_is_refused():
    assert "data=folder has none" in refusal("model=cgan", "data=folder", "data.path=x")
    check(compose_config(["model=cgan", "data=folder", "data.path=x", "data.num_classes=3"]))


def test_labels_for_networks_of_an_unconditional_model_are_rejected():
    message = refusal("model=dcgan", "condition=projection", "data=celeba")
    assert message.startswith("model=dcgan needs labels")
    assert message.endswith("Without labels: model=dcgan condition=none")
    check(compose_config(["model=dcgan", "condition=projection"]))


def test_the_default_names_the_way_out_of_unlabelled_data():
    message = refusal("data=celeba")
    assert message.startswith("model=projection needs labels")
    assert message.endswith("Without labels: model=gan, or model=dcgan for images")


def test_labeled_points_are_suggested_only_for_points():
    message = refusal("model=cgan", "network=mlp_points", "data=ring8", "data.num_classes=0")
    assert "Data with labels: grid25, ring8. Without labels: " in message
    assert "ring8" not in refusal("data=celeba")


@pytest.mark.parametrize("data", ["ring8", "grid25"])
def test_points_for_networks_of_images_are_rejected_with_a_suggestion(type_in, tmp_path, data):
    typed = type_in("train", f"data={data}")
    assert typed.code == 2
    assert typed.err.startswith("ganforge: DCGANGenerator: image_size must be one of 16, 32, ")
    assert typed.err.strip().endswith("model=gan network=mlp_points")
    assert list(tmp_path.iterdir()) == []


def test_it_is_refused_before_anything_is_there(type_in, tmp_path):
    typed = type_in("train", "model=cgan", "data=celeba")
    assert typed.code == 2
    assert typed.err.startswith("ganforge: model=cgan needs labels")
    assert list(tmp_path.iterdir()) == []


def test_infogan_takes_any_data():
    check(compose_config(["model=infogan", "data=celeba"]))


@pytest.mark.parametrize("metric", ["label_agreement", "normalized_mutual_information"])
def test_scores_of_classes_are_refused_without_classes(metric):
    message = refusal("model=dcgan", f"metrics=[fid,{metric}]")
    assert message.startswith(f"metrics={metric} needs a class-conditional model")


# ---------------------------------------------------------------------- composition


@pytest.mark.parametrize(
    ("model", "more"),
    [("cgan", []), ("projection", ["condition.generator=concatenation"]), ("infogan", [])],
)
def test_fully_connected_networks_are_rejected_with_a_suggestion(model, more, tmp_path):
    cfg = tiny(f"model={model}", "network=mlp", *more)
    check(cfg)
    assert take_steps(cfg, 1, tmp_path).model.iteration == 1


@pytest.mark.parametrize("model", TOLD)
def test_conditional_models_score_the_agreement(model):
    cfg = compose_config([f"model={model}"])
    assert list(cfg.metrics) == ["fid", "kid", "is", "label_agreement"]
    assert cfg.model.num_classes == 10
    assert cfg.model.generator.num_classes == cfg.model.discriminator.num_classes == 10


def test_the_number_of_codes_is_set_once():
    cfg = compose_config(["model=infogan", "condition.num_classes=5", "condition.continuous=1"])
    assert (cfg.model.num_classes, cfg.model.continuous) == (5, 1)
    assert cfg.model.discriminator.auxiliary == [5, 1]
    assert "label_agreement" in options("metrics")


# ---------------------------------------------------------------------- a complete run


@pytest.fixture(scope="module", autouse=True)
def untrained_classifier():
    """Replaces the trained classifier by an untrained one; its scores are meaningless."""

    def train(data, max_images):
        torch.manual_seed(0)
        return Trained(ClassifierNetwork(data.channels, data.num_classes).state_dict(), 0.5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganforge.metrics.features.classifier.train", train)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains a conditional model on three fake classes; returns the log folder."""
    root = tmp_path_factory.mktemp("labels")
    scores = ["metrics=[label_agreement]", "callbacks.evaluation.n=30", "features=classifier"]
    cache = [f"{group}.cache={root}/cache" for group in ("features", "metrics.label_agreement")]
    watched = ["logger=csv", "~callbacks.progress", "callbacks.samples.count=7"]
    game = ["model=cgan", "data.num_classes=3", "trainer.max_steps=2", f"log_dir={root}/logs"]
    train(shrunk(compose_config([*DATA, *TRAINER, *watched, *game, *scores, *cache])))
    return root / "logs"


def drawn(logs, out, *more):
    assert run(["sample", f"log_dir={logs}", f"out={out}", *more]) == 0
    return np.load(out) if out.suffix == ".npz" else Image.open(out)


def test_class_is_what_is_drawn(trained, tmp_path):
    every = drawn(trained, tmp_path / "every.npz", "n=7")
    two = drawn(trained, tmp_path / "two.npz", "n=7", "class=2")
    assert every["labels"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert two["labels"].tolist() == [2] * 7
    same = (every["images"] == two["images"]).all((1, 2, 3))
    assert same.tolist() == [False, False, True, False, False, True, False]


def test_a_grid_has_a_row_for_each_class(trained, tmp_path):
    assert drawn(trained, tmp_path / "rows.png", "n=8").size == (3 * 66 + 2, 3 * 66 + 2)
    assert drawn(trained, tmp_path / "flat.png", "n=4", "class=1").size == (2 * 66 + 2,) * 2
    assert drawn(trained, tmp_path / "wide.png", "n=12").size == (4 * 66 + 2, 3 * 66 + 2)


def test_the_runs_own_grids_have_rows_too(trained):
    shown = (trained / "train" / "latest" / "samples").resolve()
    for name in ("reals.png", "step_0000000.png", "step_0000002.png"):
        assert Image.open(shown / name).size == (2 * 66 + 2, 3 * 66 + 2), name


def test_the_file_of_a_class_is_named_after_it(trained):
    assert run(["sample", f"log_dir={trained}", "n=2", "class=1"]) == 0
    assert (trained / "train" / "latest" / "samples" / "sample-s0-n2-c1.png").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [("3", "class must be in 0 ... 2 for this run, got 3"), ("-1", "got -1"), ("x", "got x")],
)
def test_an_unknown_class_is_rejected(trained, asked, message, capsys):
    assert run(["sample", f"log_dir={trained}", "n=2", f"class={asked}"]) == 2
    assert message in capsys.readouterr().err


def test_summary_names_the_agreement_plainly(trained):
    summary = json.loads((trained / "train" / "latest" / "summary.json").read_text())
    assert list(summary["metrics"]) == ["label_agreement"]
    result = summary["metrics"]["label_agreement"]
    assert 0 <= result["value"] <= 1
    assert (result["labels"], result["n_fake"]) == ("balanced", 30)


def test_evaluate_asks_for_classes_as_in_the_data(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(trained.parent / "cache2"))
    arguments = [f"log_dir={trained}", f"out={tmp_path}", "n=30", "features=classifier"]
    assert run(["evaluate", *arguments, "metrics=[label_agreement,fid]", "labels=data"]) == 0
    metrics = json.loads((tmp_path / "evaluation.json").read_text())["metrics"]
    assert list(metrics) == ["label_agreement", "fid_classifier"]
    assert {one["labels"] for one in metrics.values()} == {"data"}


def test_an_unconditional_run_rejects_requests_for_classes(tmp_path, capsys):
    cfg = tiny("model=gan", "trainer.max_steps=1")
    cfg.log_dir = str(tmp_path / "logs")
    train(cfg)
    logs = f"log_dir={tmp_path / 'logs'}"
    capsys.readouterr()
    assert run(["sample", logs, "n=2", "class=1"]) == 2
    assert "this run's model (GAN) is unconditional" in capsys.readouterr().err
    assert run(["evaluate", logs, "metrics=[label_agreement]"]) == 2
    assert "compares with the requested classes" in capsys.readouterr().err


def test_evaluation_knows_two_ways_of_asking():
    with pytest.raises(ConfigError, match="labels must be one of balanced, data, got 'all'"):
        Evaluation(None, {}, labels="all")
