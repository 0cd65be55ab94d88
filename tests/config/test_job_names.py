from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ganforge.config.job_names import LONGEST, job_folder


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["model=dcgan", "seed=1"], "3-dcgan-s1"),
        (["seed=1", "model=gan", "data=own/mnist"], "3-gan-own-mnist-s1"),
        (["optimizer.generator.lr=0.0001", "regularizer.r1.weight=-1"], "3-lr0.0001-weight-1"),
        (["metrics=[fid]", "regularizer=[]"], "3-fid-no-regularizer"),
        (["data.path='/a/Größe (3)'", "~callbacks.samples"], "3-path-Groe-3-no-samples"),
        (["++loss.label='a=b'"], "3-label-a-b"),
        (["seed=5"], "3-s5"),
        ([], "3"),
    ],
)
def test_a_folder_is_named_by_what_tells_its_job_apart(overrides, name):
    assert job_folder(3, overrides) == name
    override = OverridesParser.create().parse_override(f"run_dir={name}")
    assert override.value() == name or name == "3"


def test_long_names_are_cut_but_for_the_seed():
    name = job_folder(12, ["notes=" + "a" * 200, "seed=7"])
    assert len(name) == LONGEST
    assert name.startswith("12-notes-aaa")
    assert name.endswith("-s7")
