"""What the README shows works as it is written there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from ganforge.cli import VERBS
from ganforge.composition import compose_config, options
from ganforge.conf_dir import conf_dir
from ganforge.config import check, check_root
from ganforge.errors import ConfigError
from ganforge.experiments.loading import build, build_model

UNLISTED = ("callbacks", "experiment", "hydra", "wandb_sweeps")
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


def typed(verb: str) -> list[list[str]]:
    """Returns the overrides of each command of a verb; the first job's of a sweep."""
    commands = re.findall(rf"^    uv run (?:--extra \w+ )?{verb}(.*)$", README, flags=re.MULTILINE)
    words = [command.split("#")[0].replace("'", "").split() for command in commands]
    return [[first(word) for word in one if not word.startswith("-")] for one in words]


def first(word: str) -> str:
    return re.sub(r"^([\w.]+)=(\w+),.*$", r"\1=\2", word)


def test_every_training_composes_and_passes_the_check():
    commands = typed(r"train\.py")
    assert len(commands) > 20
    for overrides in commands:
        check(compose_config(overrides))


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"train"}))
def test_every_other_command_composes(verb):
    commands = typed(f"ganforge {verb}")
    assert commands
    for overrides in commands:
        check_root(compose_config(overrides, verb), verb)


def test_the_narrowed_families_can_be_built():
    (sweep,) = re.findall(r"^    uv run train\.py -m (model=sngan.*)$", README, flags=re.MULTILINE)
    models, *others = sweep.split()
    for model in models.removeprefix("model=").split(","):
        build_model(compose_config([f"model={model}", *others]))


GROUPS = sorted(path.name for path in conf_dir().iterdir() if path.is_dir())


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in UNLISTED])
def test_every_option_is_listed(group):
    for option in options(group):
        assert f"`{option}`" in README, f"{group}={option}"
