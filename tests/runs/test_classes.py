"""Class folders that become classes without being asked for, and runs from before."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf
from PIL import Image

from ganforge.commands.train import train
from ganforge.config.command import Command
from ganforge.config.compose import compose_config
from ganforge.errors import ConfigError, DataError
from ganforge.runs.classes import name_classes
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import load_run_data
from ganforge.runs.resuming.identity import different_keys
from ganforge.runs.stored.config import keep_former_layout
from tests.support.configs import QUIET, TRAINER, shrunk

NAMES = [str(number) for number in range(12)]


def numbered(root, names=NAMES, count=2):
    for number, name in enumerate(names):
        for i in range(count):
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 20 * number).save(root / name / f"{i}.png")
    return root


def folder_config(path, *more, model="cgan"):
    data = ["data=folder", f"data.path={path}", "data.image_size=16", "data.channels=1"]
    steps = ["data.batch_size=4", "data.holdout=0", "trainer.max_steps=1"]
    cfg = compose_config([f"model={model}", *data, *steps, *TRAINER, *QUIET, "network=mlp", *more])
    return shrunk(cfg)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A conditional run on twelve class folders whose number nobody typed."""
    root = tmp_path_factory.mktemp("numbered")
    train(folder_config(numbered(root / "set"), f"log_dir={root}/logs"))
    return (root / "logs" / "train" / "latest").resolve()


def test_class_folders_are_used_as_classes_by_default(trained):
    stored = yaml.safe_load((trained / "config.yaml").read_text())
    assert (stored["data"]["class_names"], stored["data"]["num_classes"]) == (NAMES, 12)
    assert stored["model"]["num_classes"] == 12
    assert json.loads((trained / "summary.json").read_text())["class_names"] == NAMES


def test_a_run_without_class_names_keeps_the_order_of_its_labels(trained, tmp_path):
    folder = RunFolder(trained)
    images, labels = load_run_data(folder, Command()).reals(24)
    assert (images[:, 0, 0, 0].long() == 20 * labels).all()
    former = OmegaConf.load(trained / "config.yaml")
    del former.data["class_names"], former.data["layout"]
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(former))
    images, labels = load_run_data(RunFolder(tmp_path), Command()).reals(24)
    as_text = sorted(NAMES)
    assert [int(as_text[label]) for label in labels] == (images[:, 0, 0, 0] // 20).tolist()


def test_what_a_run_found_is_no_difference_from_what_is_typed(trained):
    own = OmegaConf.load(trained / "composed.yaml")
    typed = OmegaConf.merge(own, {"data": {"class_names": None, "num_classes": 0}})
    assert different_keys(own, typed) == []
    former = OmegaConf.merge(own, {"data": {"num_classes": 0}})
    del former.data["class_names"], former.data["layout"]
    keep_former_layout(former.data)
    assert (former.data.layout, different_keys(former, typed)) == (1, [])
    other = OmegaConf.merge(typed, {"data": {"num_classes": 3}})
    assert different_keys(own, other) == ["data.num_classes"]


def test_changed_class_folders_are_named(trained, tmp_path):
    cfg = folder_config(numbered(tmp_path / "set", NAMES[:11]))
    cfg.data.class_names = NAMES
    with pytest.raises(DataError, match="class 11 has no training image"):
        train(cfg)


@pytest.mark.parametrize("model", ["cgan", "gan"])
def test_folders_without_labels_say_why(tmp_path, model, caplog):
    root = numbered(tmp_path / "set", ["a", "b"])
    Image.new("L", (8, 8)).save(root / "loose.png")
    cfg = folder_config(root, model=model)
    name_classes(cfg)
    assert (cfg.data.class_names, cfg.data.num_classes) == ([], 0)
    assert "no labels: 1 image not in a class folder, such as loose.png" in caplog.text


@pytest.mark.parametrize(
    ("name", "fits"), [("${seed}", False), ("???", False), ("caf\udce9", True)]
)
def test_names_that_a_configuration_cannot_hold(tmp_path, name, fits):
    cfg = folder_config(numbered(tmp_path / "set", ["a", name]))
    if fits:
        name_classes(cfg)
        assert cfg.data.class_names == ["a", "caf\\xe9"]
        OmegaConf.to_yaml(cfg).encode()
        return
    with pytest.raises(DataError, match="has a name that configurations cannot hold"):
        name_classes(cfg)


def test_a_dry_run_names_it_too(tmp_path):
    for split, name in (("train", "a"), ("train", "b"), ("test", "b"), ("test", "c")):
        numbered(tmp_path / "set" / split / name)
    with pytest.raises(DataError, match="class c has no training image"):
        name_classes(folder_config(tmp_path / "set", "dry_run=true"))


@pytest.mark.parametrize("changes", ["data.max_images=4", "data.num_classes=9"])
def test_a_class_without_a_training_image_is_named(tmp_path, changes):
    if "max" in changes:
        cfg = folder_config(numbered(tmp_path / "set"), changes)
        message = r"classes .*: no training image \(data.max_images=4\)"
    else:
        data = ["data=fake", "data.size=8", "data.image_size=16", "data.batch_size=4", changes]
        cfg = shrunk(compose_config(["model=cgan", *data, *TRAINER, *QUIET, "network=mlp"]))
        message = "class 8 of data=fake: no training image"
    with pytest.raises(ConfigError, match=message):
        train(cfg)


@pytest.mark.parametrize(
    ("asked", "label", "said"),
    [
        ("10", 10, "of class 10, seed"),
        ("1e3", None, "no such class"),
        ("12", None, "legal: 0, 1, "),
    ],
)
def test_classes_are_requested_by_name(trained, type_in, tmp_path, asked, label, said):
    typed = type_in("sample", f"run={trained}", f"class={asked}", "n=2", "out=x.npz")
    assert said in typed.out + typed.err
    assert typed.code == (2 if label is None else 0)
    if label is not None:
        assert np.load(tmp_path / "x.npz")["labels"].tolist() == [label] * 2


def test_grids_name_their_rows(trained, type_in, tmp_path):
    assert type_in("sample", f"run={trained}", "n=12", "out=x.png").code == 0
    shown = Image.open(tmp_path / "x.png")
    assert shown.height == 12 * 66 + 2
    assert (shown.width - 2) % 66 > 10  # wider than its images
