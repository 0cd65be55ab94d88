"""The examples and commands of the README and of docs/ work as written."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import shlex
import sys
import textwrap
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from ganforge.cli import VERBS
from ganforge.config.check import check, check_root
from ganforge.config.compose import compose_config, options
from ganforge.errors import ConfigError
from ganforge.models.critic import Critic
from ganforge.models.gan import GAN
from ganforge.models.wgan_gp import WGANGP
from ganforge.paths import conf_dir
from ganforge.regularizers.gradient_penalty import GradientPenalty
from ganforge.runs.load import build, build_model

UNLISTED = ("callbacks", "experiment", "hydra", "wandb_sweeps")
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
PAGES = sorted(DOCS.glob("*.md"))
TEXT = "\n".join([README, *(page.read_text() for page in PAGES)])


def code(language: str, marker: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    (block,) = [block for block in blocks if marker in block]
    return block


@pytest.fixture
def own_loss(tmp_path, monkeypatch):
    """The example of the README, in two files outside the project."""
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


def lines(text: str) -> list[str]:
    """Returns the lines of indented blocks and of fenced shell blocks."""
    fenced = re.findall(r"```(?:bash|sh)\n(.*?)```", text, flags=re.DOTALL)
    indented = re.findall(r"^    (\S.*)$", text, flags=re.MULTILINE)
    return [*indented, *(line for block in fenced for line in block.splitlines())]


@cache
def commands() -> dict[str, list[tuple[str, ...]]]:
    """Returns the distinct overrides by verb; of a sweep, those of its first job."""
    found: dict[str, dict[tuple[str, ...], None]] = {verb: {} for verb in VERBS}
    for line in lines(TEXT):
        words = shlex.split(line, comments=True) if re.match("(uv run|ganforge) ", line) else []
        if "train.py" in words:
            verb, words = "train", words[words.index("train.py") + 1 :]
        elif "ganforge" in words:
            verb, *words = words[words.index("ganforge") + 1 :]
        else:
            continue
        found[verb][tuple(first(word) for word in words if not word.startswith("-"))] = None
    return {verb: list(overrides) for verb, overrides in found.items()}


def first(word: str) -> str:
    return re.sub(r"^([\w./]+)=(\w+),.*$", r"\1=\2", word)


# What several commands differ in, and what composes alike.
ALIKE = re.compile(r"(seed|resume|dry_run|trainer\.max_steps|tune\.n_trials|data\.root)=")


def test_every_training_composes_and_passes_the_check():
    assert len(commands()["train"]) > 40
    for overrides in {tuple(o for o in one if not ALIKE.match(o)) for one in commands()["train"]}:
        check(compose_config(list(overrides)))


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"train"}))
def test_every_other_command_composes(verb):
    assert commands()[verb]
    for overrides in commands()[verb]:
        check_root(compose_config(list(overrides), verb), verb)


def test_the_readme_and_the_pages_are_short():
    assert len(README.splitlines()) <= 200
    for page in [*PAGES, *DOCS.glob("*/*.md")]:
        assert len(page.read_text().splitlines()) < 150, page.name


def test_the_architecture_page_shows_the_code_itself():
    """From the step of a WGAN-GP to its penalty, without docstrings, in at most 40 lines."""
    page = (DOCS / "architecture.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown = [
        "".join(undocumented(function))
        for function in (
            GAN.play,
            GAN.discriminator_loss,
            Critic.discriminator_loss,
            Critic.penalties,
            GradientPenalty.penalty,
        )
    ]
    assert blocks == shown
    assert sum(len(block.splitlines()) for block in blocks) <= 40
    assert WGANGP.play is GAN.play
    assert WGANGP.discriminator_loss is GAN.discriminator_loss


def undocumented(function) -> list[str]:
    """Returns the source lines of a method without its docstring and the class's indent."""
    lines = inspect.getsource(function).splitlines(keepends=True)
    (definition,) = ast.parse(textwrap.dedent("".join(lines))).body
    docstring = definition.body[0]
    return [line[4:] for line in lines[: docstring.lineno - 1] + lines[docstring.end_lineno :]]


def test_every_page_is_reached_from_the_readme():
    for page in PAGES:
        assert f"](docs/{page.name})" in README, page.name


LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def slugs(text: str) -> set[str]:
    """Returns the anchors of a page's headings, as generated by GitHub and MkDocs."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda page: page.name
)
def test_every_link_leads_to_a_file(page):
    for link in LINK.findall(page.read_text()):
        if not link.startswith("http"):
            place, _, anchor = link.partition("#")
            path = page.parent / place if place else page
            assert path.is_file(), f"{page.name}: {link}"
            assert not anchor or anchor in slugs(path.read_text()), f"{page.name}: {link}"


@pytest.mark.parametrize("page", sorted((DOCS / "api").glob("*.md")), ids=lambda page: page.stem)
def test_the_reference_lists_every_exported_class(page):
    directive = page.read_text().partition("\n::: ")[2]
    package, _, settings = directive.partition("\n")
    listed = yaml.safe_load(settings)["options"]["members"]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"there is no {package} yet")
    assert sorted(listed) == sorted(importlib.import_module(package).__all__)


def test_the_narrowed_families_can_be_built():
    page = (DOCS / "training.md").read_text()
    (sweep,) = re.findall(r"^    uv run train\.py -m (model=sngan.*)$", page, flags=re.MULTILINE)
    models, *others = sweep.split()
    for model in models.removeprefix("model=").split(","):
        build_model(compose_config([f"model={model}", *others]))


GROUPS = sorted(path.name for path in conf_dir().iterdir() if path.is_dir())


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in UNLISTED])
def test_every_option_is_listed(group):
    for option in options(group):
        assert f"`{option}`" in README, f"{group}={option}"
