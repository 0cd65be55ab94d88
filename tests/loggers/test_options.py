from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf"
ROOT = {"run_dir": "", "name": "dcgan-digits-s1", "tags": ["a", "b"], "notes": ""}


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("csv", ["csv"]),
        ("auto", ["csv", "wandb"]),
        ("wandb", ["csv", "wandb"]),
        ("tensorboard", ["csv", "tensorboard"]),
    ],
)
def test_every_option_spells_out_what_its_loggers_take(tmp_path, option, names):
    with initialize_config_dir(str(CONF / "logger"), version_base="1.3"):
        options = compose(option)
    config = OmegaConf.merge(ROOT, {"run_dir": str(tmp_path), "logger": options})
    assert list(options) == names
    for name, entry in config.logger.items():
        parameters = inspect.signature(get_class(entry._target_)).parameters
        assert set(entry) - {"_target_"} == set(parameters)
        logger = instantiate(entry, _convert_="all")
        assert logger.save_dir == str(tmp_path), name
