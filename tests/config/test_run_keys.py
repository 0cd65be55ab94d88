from __future__ import annotations

import pytest

from ganforge.config.run_keys import on_run


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
