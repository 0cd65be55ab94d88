"""Every command in the README and the pages of docs/ is executed, with shorter trainings."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.config.compose import compose_config
from tests.conftest import Typed
from tests.support.inception_weights import save_random_weights
from tests.test_readme import DOCS, ROOT, lines

pytestmark = pytest.mark.slow

PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
SHORT = ["trainer.max_steps=2", "trainer.precision=32-true"]
FEW = ["callbacks.evaluation.n=128", "callbacks.samples.count=20"]
# Data that the package contains or computes. Other data sets are not downloaded: a dry run builds
# the same parts and runs a step on random images.
BUNDLED = ("digits", "ring8", "grid25", "stacked_digits", "photos")
STEPS = itertools.count(3)  # each resumed run trains for a step more
# The folders to execute commands in, by what their latest run is.
RUNS = {
    "noise": ["model=projection"],
    "sweep": ["-m", "model=dcgan,lsgan", "seed=1,2"],
    "style": ["experiment=digits/stylegan2"],
    "pairs": ["experiment=photos/pix2pix"],
    "cycles": ["experiment=photos/cyclegan"],
}
# Commands that need a cluster, a network or a GPU: their exit code and message without it. The
# first two are hidden on every machine: nothing is submitted, downloaded or sent.
REFUSALS = {
    "hydra/launcher=slurm": (2, "sbatch"),
    "data=facades": (1, "could not be downloaded"),
    "sync": (1, "not logged in to W&B"),
}
if not torch.cuda.is_available():
    REFUSALS["trainer=ddp"] = (2, "no GPU found")
    REFUSALS["hydra.launcher.gpus=2"] = (2, "this machine has 0 GPUs")


def commands(page: Path) -> list[list[str]]:
    """Returns the commands of a page as ``[VERB, ARGUMENT, ...]``."""
    found = []
    for line in lines(page.read_text()):
        words = shlex.split(line, comments=True) if re.match("(uv run|ganforge) ", line) else []
        if "train.py" in words:
            found.append(["train", *words[words.index("train.py") + 1 :]])
        elif "ganforge" in words:
            found.append(words[words.index("ganforge") + 1 :])
    return found


def images(folder: Path, *names: str) -> Path:
    """Writes 80 RGB images of 64 x 64 pixels into each named subfolder."""
    noise = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(80):
            pixels = noise.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index:02}.png")
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the placeholders of the pages stand for."""
    root = tmp_path_factory.mktemp("files")
    images(root / "DIR", ".")
    images(root / "B", ".")
    images(root / "paired", "A", "B")
    images(root / "unpaired", "trainA", "trainB", "testA", "testB")
    (root / "empty").mkdir()
    with zipfile.ZipFile(root / "A.zip", "w") as archive:
        for path in sorted((root / "DIR").glob("*.png")):
            archive.write(path, path.name)
    save_random_weights(root / "FILE")
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: tmp_path_factory.mktemp(kind) for kind in RUNS}


@pytest.fixture
def execute(
    type_in: Callable[..., Typed],
    folders: dict[str, Path],
    tmp_path: Path,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[list[str]], None]:
    """Executes a command in a folder whose latest run is of the kind that it needs."""

    def fail(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network in tests")

    which = shutil.which
    hidden = ("sbatch", "srun")
    monkeypatch.setattr(
        shutil, "which", lambda name, *more: None if name in hidden else which(name, *more)
    )
    monkeypatch.setattr("urllib.request.urlopen", fail)
    monkeypatch.setenv("GANFORGE_DATA", str(files / "empty"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)

    def call(words: list[str], folder: Path) -> Typed:
        os.chdir(folder)
        return type_in(*words)

    def prepared(kind: str) -> Path:
        if not (folders[kind] / "logs").exists():
            started = call(["train", *RUNS[kind], *SHORT, *FEW], folders[kind])
            assert started.code == 0, started.err
        return folders[kind]

    def execute(words: list[str]) -> None:
        folder = tmp_path if starts_a_training(words) else prepared(kind_of(words))
        words = shortened(replaced(words, files, folder, folders), files)
        typed = call(words, folder)
        code, text = next((REFUSALS[word] for word in words if word in REFUSALS), (0, ""))
        assert typed.code == code, f"{shlex.join(words)}\n{typed.err}"
        assert text in typed.err

    return execute


def starts_a_training(words: list[str]) -> bool:
    resumes = any(re.match("resume=(?!auto)", word) for word in words)
    return words[0] == "train" and not resumes


def kind_of(words: list[str]) -> str:
    """Returns the key in RUNS of what a command needs as its latest run."""
    if "direction=BtoA" in words:
        return "cycles"
    if words[0] == "translate" or "metrics=[l1,ssim]" in words:
        return "pairs"
    if words[0] in ("compare", "sync") or "sweep=latest" in words or "runs=latest" in words:
        return "sweep"
    styled = any(re.match("truncation=|style_mix=", word) for word in words)
    return "style" if styled else "noise"


def replaced(words: list[str], files: Path, folder: Path, folders: dict[str, Path]) -> list[str]:
    """Returns a command with paths in place of the placeholders."""
    data = next((kind for kind in ("paired", "unpaired") if f"data={kind}" in words), "DIR")
    run = next((folders["noise"] / "logs" / "train").glob("*/*-s0"), "")
    sweep = next((folders["sweep"] / "logs" / "multirun").glob("*/*"), "")
    values = {
        "data.path=DIR": f"data.path={files / data}",
        "data.path_a=DIR": f"data.path_a={files / 'DIR'}",
        "data.path_b=DIR": f"data.path_b={files / 'B'}",
        "data.root=DIR": f"data.root={files / 'empty'}",
        "out=DIR": f"out={folder / 'out'}",
        "input=DIR": f"input={files / 'DIR'}",
        "fake=DIR": f"fake={files / 'DIR'}",
        "fake=A.zip": f"fake={files / 'A.zip'}",
        "real=B": f"real={files / 'B'}",
        "features.weights=FILE": f"features.weights={files / 'FILE'}",
        "run=RUN": f"run={run}",
        "resume=RUN": f"resume={run}",
        "runs=logs/multirun/DATE/TIME": f"runs={sweep}",
    }
    words = [values.get(word, word) for word in words]
    return [re.sub(r"^resume=logs/.*", f"resume={run}", word) for word in words]


def shortened(words: list[str], files: Path) -> list[str]:
    """Returns a command with fewer steps, trials and images, on data that are here."""
    verb, *overrides = words
    if verb == "evaluate":
        if any(word.startswith("fake=") for word in words):
            size = ["image_size=32"] if "data=mnist" in words else []
            return [*("data=digits" if word == "data=mnist" else word for word in words), *size]
        weights = [f"features.weights={files / 'FILE'}"] if "features=inception" in words else []
        return [*words, "n=32", *weights]
    if verb == "train" and any("resume=" in word and "auto" not in word for word in overrides):
        return [*words, f"trainer.max_steps={next(STEPS)}"]
    if verb != "train":
        return words
    plain = [re.sub(r"^([\w./]+)=(\w+),.*$", r"\1=\2", o) for o in overrides if o[0] != "-"]
    cfg = compose_config([o for o in plain if not o.startswith("resume=")])
    if not str(cfg.data.name).startswith(BUNDLED):
        return [*words, "dry_run=true"]
    words = [*words, *SHORT]
    if "dry_run=true" not in words:
        words += FEW
    if "logger=wandb" in words:
        words += ["logger.wandb.mode=offline"]
    if any(word.startswith("tune=") for word in words):
        words += ["tune.n_trials=2"]
    return words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page, execute):
    for words in commands(page):
        execute(words)
