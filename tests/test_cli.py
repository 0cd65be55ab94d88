from __future__ import annotations

import atexit
import importlib.metadata
import io
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import omegaconf._utils
import pytest
import yaml
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from omegaconf import OmegaConf

from ganforge import cli
from ganforge.config.compose import composed_once, options
from ganforge.errors import InterruptionError
from ganforge.paths import conf_dir
from tests.support.compositions import restore_hydra
from tests.support.configs import DATA, QUIET, TRAINER
from tests.support.forking import fork, wait

ROOT = Path(__file__).parents[1]
TRAIN = [sys.executable, str(ROOT / "train.py")]
GANFORGE = [sys.executable, "-m", "ganforge"]
HEAVY = ("torch", "lightning", "torchvision", "wandb", "torchmetrics", "sklearn")


def start(command, cwd=ROOT, **environment):
    """Runs a short command; stderr lists its imports."""
    command = [command[0], "-X", "importtime", *command[1:]]
    variables = os.environ | environment
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)


def imported(done) -> set[str]:
    """Returns the top-level modules that a process imported."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def said(done) -> str:
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    return "\n".join(lines)


# ---------------------------------------------------------------------- fast answers


@pytest.mark.parametrize(
    ("command", "code", "answer"),
    [
        ([*TRAIN, "--help"], 0, "model: acgan, biggan, cgan, cyclegan, dcgan, dragan, gan, "),
        ([*TRAIN, "model=wgan", "--cfg", "job"], 0, "_target_: ganforge.models.WGAN"),
        ([*TRAIN, "model=wgna"], 2, "model=wgna: no such option; did you mean 'wgan'?"),
        ([*TRAIN, "sed=3"], 2, "sed: no such key; did you mean 'seed'?"),
        ([*TRAIN, "+sed=3"], 2, "sed: did you mean 'seed'?"),
        ([*TRAIN, "trainer.max_step=3"], 2, "trainer.max_step: no such key; did you mean"),
        ([*GANFORGE, "--help"], 0, "ganforge train"),
        ([*GANFORGE, "sample", "--help"], 0, "Every key, with its default"),
    ],
)
def test_an_answer_needs_nothing_heavy(command, code, answer):
    done = start(command)
    assert done.returncode == code
    assert answer in done.stdout + said(done)
    assert not imported(done) & set(HEAVY)


@pytest.mark.parametrize(
    ("command", "line", "suggestions"),
    [
        (TRAIN, "python train.py mod", ["model", "model."]),
        (TRAIN, "python train.py model=w", ["model=wgan", "model=wgan_gp"]),
        (TRAIN, "python train.py trainer.max_", ["trainer.max_seconds=", "trainer.max_steps="]),
        (GANFORGE, "ganforge train model=", [f"model={name}" for name in options("model")]),
        (GANFORGE, "ganforge train loss=hi", ["loss=hinge"]),
        (GANFORGE, "ganforge evaluate wei", ["weights="]),
        (GANFORGE, "ganforge sample ru", ["run="]),
    ],
)
def test_tab_completion(command, line, suggestions):
    asked = [*command, "-sc", "query=bash"]
    done = start(asked, COMP_LINE=line, COMP_POINT=str(len(line)))
    found = set(done.stdout.split())
    assert set(suggestions) <= {name.replace("model=base/", "") for name in found}
    assert not imported(done) & set(HEAVY)


def test_tab_completion_in_bash(tmp_path):
    launcher = tmp_path / "ganforge"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ganforge "$@"\n')
    launcher.chmod(0o755)
    script = """
        eval "$(ganforge train -sc install=bash)"
        COMP_LINE="ganforge train data=fa" COMP_POINT=22 COMP_CWORD=2
        hydra_bash_completion 2> /dev/null
        echo "${COMPREPLY[@]}"
    """
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["data=facades", "data=fake", "data=fashion_mnist"], done.stderr


# ---------------------------------------------------------------------- commands


def test_no_verb_says_which_there_are(type_in):
    for arguments in ([], ["--help"], ["-h"], ["help"]):
        typed = type_in(*arguments)
        assert typed.code == 0
        assert all(f"ganforge {verb}" in typed.out for verb in cli.VERBS)


def test_an_unknown_verb(type_in):
    typed = type_in("trian", "model=gan")
    assert typed.code == 2
    assert typed.err == f"ganforge: no verb 'trian'; legal: {', '.join(cli.VERBS)}\n"


def test_the_version(type_in):
    typed = type_in("--version")
    assert (typed.code, typed.out) == (0, importlib.metadata.version("ganforge") + "\n")


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_every_verb_has_help_and_a_configuration(type_in, verb):
    typed = type_in(verb, "--help")
    assert typed.code == 0
    assert typed.out.startswith(f"ganforge {verb}: ")
    assert "Hydra" not in typed.out
    typed = type_in(verb, "--cfg", "job")
    assert typed.code == 0
    assert verb in ("cache", "prepare") or OmegaConf.create(typed.out).log_dir == "logs"


def test_a_root_file_may_ask_for_a_sweep(tmp_path, monkeypatch):
    """Hydra then composes twice, to find out."""
    get_mode = Hydra.get_mode
    monkeypatch.setattr("ganforge.config.compose.conf_dir", lambda: tmp_path)
    for text, once in (("seed: 0\n", True), ("hydra:\n  mode: MULTIRUN\n", False)):
        (tmp_path / "train.yaml").write_text(text)
        with composed_once("train", ["model=gan"], sweeping=False):
            assert (Hydra.get_mode is not get_mode) == once
        assert Hydra.get_mode is get_mode


def test_quick_composition_is_that_of_hydra(type_in, monkeypatch, tmp_path):
    """Compares help and configurations with those of Hydra without the speed-ups."""
    defaults = [{"/extra": "${experiment}"}, {"override /regularizer": ["r1", "r2"]}]
    for group, content in (("experiment", {"defaults": defaults}), ("extra", {"seed": 5})):
        file = tmp_path / "conf" / group / "own.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(f"# @package _global_\n{yaml.safe_dump(content)}")
    arguments = (
        ("sample", "--help"),
        ("train", "experiment=cifar10/biggan", "--cfg", "all"),
        ("train", "--config-dir=conf", "experiment=own", "model=wgan", "--cfg", "all"),
    )
    for _ in range(2):  # from the files, then from what the first round kept
        quick = [type_in(*words).out for words in arguments]
    assert "seed: 5\n" in quick[2]
    restore_hydra(monkeypatch)
    monkeypatch.delattr(ConfigRepository, "__deepcopy__")
    monkeypatch.setattr(omegaconf._utils, "yaml", yaml)
    times = re.compile(r"\d\d-\d\d-\d\d")  # names of run folders
    for words, text in zip(arguments, quick, strict=True):
        assert times.sub("", type_in(*words).out) == times.sub("", text)


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_every_verb_leads_to_a_function(verb):
    module, function = cli.VERBS[verb]
    assert callable(getattr(importlib.import_module(module), function))
    assert (conf_dir() / f"{verb}.yaml").is_file()


def test_the_resolved_configuration_can_be_printed(type_in):
    typed = type_in("train", "model=wgan_gp", "data=mnist", "--cfg", "job", "--resolve")
    cfg = OmegaConf.create(typed.out)
    assert typed.code == 0
    assert cfg.name == "wgan_gp-mnist"
    assert cfg.model.generator.channels == 1


def test_flags_may_stand_between_overrides(type_in):
    typed = type_in("train", "model=wgan", "--cfg", "job", "loss=hinge", "~callbacks.samples")
    cfg = OmegaConf.create(typed.out)
    assert typed.code == 0, typed.err
    assert cfg.model._target_.endswith("WGAN")
    assert cfg.loss._target_.endswith("HingeLoss")
    assert "samples" not in cfg.callbacks


def test_a_wrong_option_lists_the_legal_ones(type_in):
    typed = type_in("train", "loss=hing")
    legal = "hinge, least_squares, minimax, nonsaturating, relativistic, wasserstein"
    assert typed.err == (
        f"ganforge: loss=hing: no such option; did you mean 'hinge'? legal: {legal}\n"
    )


def test_an_experiment_is_listed_with_its_folder(type_in):
    typed = type_in("train", "experiment=mnist/dgan")
    assert "did you mean 'mnist/" in typed.err
    assert all(name in typed.err for name in options("experiment"))


def test_a_traceback_for_those_who_ask(type_in, monkeypatch):
    assert "Traceback" not in type_in("train", "trainer.max_step=3").err
    monkeypatch.setenv("GANFORGE_DEBUG", "1")
    assert "Traceback" in type_in("train", "trainer.max_step=3").err


def test_an_internal_error_is_reported_with_its_type(type_in, monkeypatch):
    def broken(cfg):
        raise ZeroDivisionError("no way")

    monkeypatch.setattr("ganforge.commands.train.train", broken)
    typed = type_in("train")
    assert typed.code == 1
    assert typed.err == "ganforge: ZeroDivisionError: no way\n(traceback: GANFORGE_DEBUG=1)\n"


def test_a_profile_is_shown(type_in, monkeypatch):
    shown = logging.StreamHandler(stream := io.StringIO())
    monkeypatch.setattr(logging.getLogger("lightning.pytorch.profilers"), "handlers", [shown])
    typed = type_in("train", *DATA, *TRAINER, *QUIET, "debug=profile", "trainer.max_steps=1")
    assert typed.code == 0, typed.err
    assert "Profiler Report" in stream.getvalue()


def test_an_interrupt_ends_quietly(type_in, monkeypatch):
    def interrupted(cfg):
        raise KeyboardInterrupt

    monkeypatch.setattr("ganforge.commands.train.train", interrupted)
    typed = type_in("train")
    assert (typed.code, typed.err) == (130, "ganforge: interrupted\n")


# ---------------------------------------------------------------------- sweeps


def test_an_interrupted_process_waits_for_no_thread(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "run", lambda arguments, verb: 143)

    def work() -> None:
        atexit._clear()  # those of pytest
        atexit.register((tmp_path / "closed").touch)
        threading.Thread(target=threading.Event().wait).start()
        cli.main("prepare")

    assert wait(fork(work)) == 143
    assert (tmp_path / "closed").exists()


def test_a_sweep_runs_every_job_and_fails_at_the_end(type_in, monkeypatch):
    seen = []

    def job(cfg):
        seen.append((cfg.seed, str(cfg.loss._target_).rpartition(".")[2]))
        if cfg.seed == 1:
            raise ArithmeticError(f"{len(seen)} does not work")

    monkeypatch.setattr("ganforge.commands.train.train", job)
    typed = type_in("train", "-m", "seed=1,2", "loss=hinge,minimax")
    kinds = ("HingeLoss", "MinimaxLoss")
    assert seen == [(seed, kind) for seed in (1, 2) for kind in kinds]
    assert typed.code == 1
    # The fault of every job is reported, not only the first one.
    assert "job 0 (seed=1 loss=hinge) failed: ArithmeticError: 1 does not work" in typed.err
    assert "job 1 (seed=1 loss=minimax) failed: ArithmeticError: 2 does not work" in typed.err


def test_an_interrupt_ends_the_whole_sweep(type_in, monkeypatch):
    seen = []

    def job(cfg):
        seen.append(cfg.seed)
        raise InterruptionError("interrupted at step 3; continue with resume=HERE")

    monkeypatch.setattr("ganforge.commands.train.train", job)
    typed = type_in("train", "seed=1,2,3", "-m", "loss=hinge", "hydra/launcher=basic")
    assert seen == [1]
    assert typed.code == 130
    assert "to resume the sweep, add resume=auto to the same command" in typed.err


def test_the_jobs_of_a_sweep_are_named_by_their_differences(type_in, tmp_path, monkeypatch):
    from ganforge.config.command import Command

    jobs = []
    train = "ganforge.commands.train.train"
    monkeypatch.setattr(train, lambda cfg: jobs.append(Command.of(cfg).job))
    fixed = ["data=fake", "trainer.max_steps=3", "~callbacks.samples"]
    assert type_in("train", *fixed, "-m", "model=gan,wgan", "seed=1,2").code == 0
    names = [
        "0-gan-s1",
        "1-gan-s2",
        "2-wgan-s1",
        "3-wgan-s2",
    ]
    assert [Path(job).name for job in jobs] == names


# ---------------------------------------------------------------------- working directory


def test_the_console_script_works_from_any_folder(tmp_path):
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"ganforge": "ganforge.start:main"}
    script = Path(sys.executable).with_name("ganforge")
    done = subprocess.run(
        [str(script), "train", "model=gan", "--cfg", "job"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "ganforge.models.GAN" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_error():
    command = f"'{sys.executable}' -m ganforge train --cfg job | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_wheel_carries_conf():
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    wheel = hatch["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["src/ganforge", "src/hydra_plugins"]
    assert wheel["force-include"] == {"conf": "ganforge/conf"}


def test_conf_is_found_in_the_wheel_and_in_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "ganforge"
    package.mkdir(parents=True)
    monkeypatch.setattr("ganforge.paths.__file__", str(package / "paths.py"))
    assert conf_dir() == tmp_path / "conf"
    (package / "conf").mkdir()
    assert conf_dir() == package / "conf"


@pytest.mark.parametrize("flag", ["--config-dir {}", "--config-dir={}", "-cd {}"])
def test_a_wrong_key_is_explained_with_custom_config_files(flag, tmp_path, capsys):
    (tmp_path / "loss").mkdir()
    own = "# My loss.\n_target_: ganforge.losses.HingeLoss\n"
    (tmp_path / "loss" / "mine.yaml").write_text(own)
    arguments = flag.format(tmp_path).split()
    assert cli.run(["train", *arguments, "loss=mine", "trainer.max_step=100"]) == 2
    assert "did you mean 'max_steps'" in capsys.readouterr().err


def test_invalid_yaml_is_named_with_file_and_line(tmp_path, capsys):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "mine.yaml").write_text("# My loss.\n_target_: [ganforge.losses\n")
    assert cli.run(["train", f"--config-dir={tmp_path}", "loss=mine"]) == 2
    said = capsys.readouterr().err
    assert f'in "{tmp_path / "loss" / "mine.yaml"}", line 2' in said
    assert "GANFORGE_DEBUG" not in said  # not an internal error


def test_an_interruption_is_found_in_errors_of_the_compiler_alone():
    interruption = InterruptionError("interrupted by SIGTERM", signal.SIGTERM)

    def wrapped(kind: type[Exception]) -> Exception:
        try:
            try:
                raise interruption
            except InterruptionError:
                raise kind("InterruptionError: interrupted by SIGTERM") from None
        except kind as error:
            return error

    compiler = type("InductorError", (RuntimeError,), {"__module__": "torch._inductor.exc"})
    assert cli._interruption_in(wrapped(compiler)) is interruption
    assert cli._interruption_in(wrapped(OSError)) is None
