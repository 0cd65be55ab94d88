"""What the README shows works as it is written there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from ganforge.composition import compose_config
from ganforge.config import check
from ganforge.errors import ConfigError
from ganforge.experiments.loading import build

README = (Path(__file__).parents[1] / "README.md").read_text()


def code(language: str, marker: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    (block,) = [block for block in blocks if marker in block]
    return block


@pytest.fixture
def own_loss(tmp_path, monkeypatch):
    """The README's example, in two files outside the project."""
    imports = "from ganforge.losses.adversarial_loss import AdversarialLoss\n"
    (tmp_path / "exponential.py").write_text(imports + code("python", "class ExponentialLoss"))
    group = tmp_path / "conf" / "loss"
    group.mkdir(parents=True)
    text = code("yaml", "ExponentialLoss").replace("ganforge.losses.exponential", "exponential")
    (group / "exponential.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield f"hydra.searchpath=[file://{tmp_path / 'conf'}]"
    sys.modules.pop("exponential", None)


def test_a_loss_is_one_python_file_and_one_yaml_file(own_loss):
    cfg = compose_config([own_loss, "loss=exponential", "loss.scale=0.5", "run_dir=."])
    check(cfg)
    loss = build(cfg.loss)
    logits = torch.tensor([2.0])
    expected = torch.tensor(-1.0).exp() + torch.tensor(1.0).exp()
    torch.testing.assert_close(loss.discriminator(logits, logits), expected)


def test_its_misspelt_argument_is_refused(own_loss):
    cfg = compose_config([own_loss, "loss=exponential", "+loss.scal=1", "run_dir=."])
    with pytest.raises(ConfigError, match=r"loss\.scal.*did you mean 'scale'"):
        check(cfg)


def test_every_command_composes(monkeypatch):
    commands = re.findall(r"^    uv run train\.py(.*)$", README, flags=re.MULTILINE)
    assert len(commands) > 8
    for command in commands:
        words = command.split("#")[0].replace("'", "").split()
        overrides = [word for word in words if word != "-m"]
        first = [re.sub(r"^(\w+)=(\w+),.*$", r"\1=\2", word) for word in overrides]
        assert OmegaConf.is_config(compose_config(first)), command


def test_every_option_is_listed():
    conf = Path(__file__).parents[1] / "conf"
    for group in ("model", "network", "loss", "regularizer", "optimizer", "schedule", "data"):
        for option in (conf / group).glob("*.yaml"):
            assert f"`{option.stem}`" in README, f"{group}={option.stem}"
