from __future__ import annotations

from pathlib import Path

import pytest

from ganforge.config.arguments import flags_first, is_sweep, prepared
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
