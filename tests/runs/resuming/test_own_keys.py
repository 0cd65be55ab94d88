from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ganforge.config.check import check
from ganforge.config.command import Command
from ganforge.config.compose import compose_config
from ganforge.errors import ConfigError
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import data_config
from ganforge.runs.record import write_config
from ganforge.runs.resuming.own_keys import change
from ganforge.runs.stored.settling import settle

MADE = ["model=gan", "data=folder", "data.path=/old", "network=mlp", "regularizer=[r1]", "seed=5"]


@pytest.fixture(scope="module")
def composed():
    cfg = compose_config(MADE)
    settle(cfg)
    return cfg


@pytest.fixture
def own(composed):
    return OmegaConf.create(OmegaConf.to_container(composed))


@pytest.mark.parametrize(
    ("key", "value", "stored"),
    [
        ("regularizer.r1.weight", 5, 5),
        ("data.path", "/new", "/new"),
        ("data.path", "new", "{here}/new"),
        ("data.path", "${oc.env:WHERE}", "/moved"),
        ("data.batch_size", "${oc.env:SIZE}", 8),
        ("network.generator.hidden", [8], [8]),
        ("callbacks.samples", None, None),
        ("trainer.max_steps", 7, 7),
        ("seed", 3, 3),
    ],
)
def test_a_run_takes_its_own_keys(own, key, value, stored, monkeypatch, tmp_path):
    monkeypatch.setenv("WHERE", "/moved")
    monkeypatch.setenv("SIZE", "8")
    monkeypatch.chdir(tmp_path)
    change(own, {key: value}, Path("R"))
    check(own)
    expected = stored.format(here=tmp_path) if isinstance(stored, str) else stored
    assert OmegaConf.select(own, key) == expected


def test_a_part_of_ones_own_can_be_added(own):
    part = {"callbacks.extra._target_": "ganforge.callbacks.Samples"}
    change(own, part | {"callbacks.extra.count": 4}, Path("R"))
    assert own.callbacks.extra.count == 4


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("regularizer.r2.weight", r"the run R has no key regularizer.r2; legal: r1$"),
        ("regularizer.r1.wieght", r"regularizer.r1.wieght: .*did you mean 'weight'"),
        ("callbacks.sampels.count", r"no key callbacks.sampels; did you mean 'samples'"),
        ("traner.max_steps", r"no key traner; did you mean 'trainer'"),
        ("data.crop", r"data.crop: .*takes no 'crop'"),
    ],
)
def test_a_key_that_no_part_of_the_run_has_is_refused_with_what_it_has(own, key, message):
    def go() -> None:
        change(own, {key: 1}, Path("R"))
        check(own)

    with pytest.raises(ConfigError, match=message):
        go()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> RunFolder:
    cfg = compose_config(MADE)
    settle(cfg)
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    write_config(cfg, folder, Command(choices={"data": "folder"}), new=True)
    return folder


def test_data_that_moved_are_read_from_elsewhere(folder):
    typed = Command(groups={"data": "folder"}, values={"data.path": "/new", "n": 4})
    node = data_config(folder, typed)
    assert (node.path, node.image_size, node.seed) == ("/new", 64, 5)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (Command(groups={"data": "mnist"}), r"data=mnist: .*trained with data=folder"),
        (Command(values={"data.image_size": 8}), r"data.image_size: .*legal: path, "),
        (Command(values={"data.root": "/x"}), r"data.root: .*legal: path, "),
    ],
)
def test_a_run_is_compared_with_its_own_data(folder, typed, message):
    with pytest.raises(ConfigError, match=message):
        data_config(folder, typed)


def test_a_part_that_the_run_is_without_can_be_removed_again(tmp_path):
    own = OmegaConf.create({"callbacks": {"progress": {}, "checkpoints": {}}})
    change(own, {"callbacks.samples": None}, tmp_path)
    assert list(own.callbacks) == ["progress", "checkpoints"]
    with pytest.raises(ConfigError, match="did you mean 'progress'"):
        change(own, {"callbacks.progres": None}, tmp_path)
