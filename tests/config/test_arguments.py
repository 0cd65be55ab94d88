from __future__ import annotations

from pathlib import Path

import pytest

from ganforge.config.arguments import flags_first, is_sweep, on_run, prepared
from ganforge.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "sweeps"),
    [
        (["-m", "seed=1,2"], True),
        (["--multirun"], True),
        (["--multi"], True),
        (["hydra.mode=MULTIRUN"], True),
        (["tune=learning_rates"], True),
        (["tune=null"], False),
        (["seed=1"], False),
    ],
)
def test_what_runs_several_jobs(arguments, sweeps):
    assert is_sweep(arguments) is sweeps


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["hydra.run.dir=out/a b"], ["run_dir=out/a b"]),
        (["++hydra.run.dir=x"], ["run_dir=x"]),
        (["hydra.run.dir=."], ["hydra.run.dir=."]),
        (["data=[fake]"], ["data=fake"]),
        (["metrics=[fid]"], ["metrics=[fid]"]),
        (["--config-dir", "~/a=b"], [f"--config-dir={Path.home()}/a=b"]),
        (["-cd=~/x"], [f"--config-dir={Path.home()}/x"]),
        (["hydra.output_subdir=null", "hydra.job.chdir=false"],) * 2,
    ],
)
def test_what_hydra_is_given(typed, meant):
    assert prepared("train", typed) == meant


@pytest.mark.parametrize(
    ("verb", "typed", "fault"),
    [
        ("train", ["-m", "hydra.run.dir=x"], "hydra.sweep.dir=DIR"),
        ("train", ["run_dir=x", "hydra.run.dir=y"], "mean the same"),
        ("sample", ["hydra.run.dir=x"], "trains no run"),
        ("train", ["hydra.job.chdir=true"], "run_dir=DIR"),
        ("train", ["hydra.output_subdir=.hydra"], "provenance.json"),
        ("train", ["data=[fake,digits]"], "takes one option"),
    ],
)
def test_keys_of_hydra_that_would_scatter_files(verb, typed, fault):
    with pytest.raises(ConfigError, match=fault):
        prepared(verb, typed)


def test_flags_come_before_overrides():
    assert flags_first(["seed=1", "-m", "~a"]) == ["-m", "seed=1", "~a"]


def test_an_unknown_key_of_hydra_is_named(type_in):
    typed = type_in("sample", "hydra.job.env_set.X=1")
    assert typed.code == 2
    assert "+hydra.job.env_set.X=VALUE adds it" in typed.err


@pytest.mark.parametrize(
    ("typed", "composed"),
    [
        ("resume=R regularizer.r1.weight=5", "resume=R ++regularizer.r1.weight=5"),
        ("resume=R +a.b=1 ++c.d=2 seed=3", "resume=R +a.b=1 ++c.d=2 seed=3"),
        ("resume=R ~callbacks.samples", "resume=R ++callbacks.samples=null"),
        ("resume=R loss=hinge hydra.verbose=1", "resume=R loss=hinge hydra.verbose=1"),
        ("resume=R resume.allow=[data]", "resume=R resume_allow=[data]"),
        ("resume=R +resume.allow=data", "resume=R resume_allow=[data]"),
        ("resume=auto loss.a=1", "resume=auto loss.a=1"),
        ("resume=null loss.a=1", "resume=null loss.a=1"),
        (
            "-m resume=R loss.a=1,2 resume.allow=[data]",
            "-m resume=R loss.a=1,2 resume_allow=[data]",
        ),
        ("resume=R tune=random loss.a=1", "resume=R tune=random loss.a=1"),
        ("loss.a=1 ~callbacks.samples", "loss.a=1 ~callbacks.samples"),
    ],
)
def test_keys_of_a_run_reach_its_own_configuration(typed, composed):
    assert on_run(typed.split(), "train") == composed.split()


def test_a_run_is_evaluated_on_data_that_moved():
    assert on_run(["run=R", "data.path=a"], "evaluate") == ["run=R", "++data.path=a"]
    images = ["fake=A", "real=data", "data=folder", "data.path=a"]
    assert on_run(images, "evaluate") == images
    assert on_run(["data.path=a"], "sample") == ["data.path=a"]
