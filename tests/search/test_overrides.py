from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ganforge.errors import ConfigError
from ganforge.search.overrides import read_plan
from ganforge.search.space import Choice, Real, Whole

PARSER = OverridesParser.create()


def dimension(value: str):
    plan = read_plan({}, [f"a.key={value}"], PARSER)
    assert plan.fixed == []
    return plan.space["a.key"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hinge,minimax", Choice(("hinge", "minimax"))),
        ("choice(1,2.5,true)", Choice(("1", "2.5", "True"))),
        ("choice([r1],[r1,r2])", Choice(("[r1]", "[r1,r2]"))),
        ("range(1,10)", Whole(1, 9)),  # as in Python, 10 is none of them
        ("range(1,10,3)", Whole(1, 7, 3)),
        ("range(9,1,-4)", Whole(5, 9, 4)),
        ("range(0,0.4,0.1)", Real(0.0, 0.3, 0.1)),
        ("tag(log,range(1,9))", Whole(1, 8, log=True)),
        ("interval(0.1,1)", Real(0.1, 1.0)),
        ("interval(1,10)", Real(1.0, 10.0)),  # as in Hydra
        ("int(interval(1,10))", Whole(1, 10)),
        ("range(0.5,1.1,0.5)", Real(0.5, 1.0, 0.5)),
        ("tag(log,interval(1e-5,1e-2))", Real(1e-5, 1e-2, log=True)),
    ],
)
def test_every_syntax_of_a_sweep_is_a_dimension(value, expected):
    assert dimension(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("tag(log,choice(a,b))", "choices have no order"),
        ("tag(fast,interval(1,2))", r"must be one of log, got fast"),
        ("tag(log,interval(0.0,1.0))", "above 0"),
        ("range(1,2)", "at least two values"),
        ("interval(2.0,1.0)", "lower limit"),
    ],
)
def test_what_is_no_dimension_is_refused_with_what_was_typed(value, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        dimension(value)
    assert str(refusal.value).startswith("a.key=")


def test_the_command_line_comes_before_the_file():
    space = {"a": "interval(0.0, 1.0)", "b": "choice(1,2)", "c": "range(0,3)"}
    plan = read_plan(space, ["b=7", "seed=3", "c=choice(8,9)"], PARSER)
    assert plan.fixed == ["b=7", "seed=3"]
    assert plan.space == {"a": Real(0.0, 1.0), "c": Choice(("8", "9"))}


def test_the_last_word_on_a_key_counts():
    assert read_plan({"a": "1,2"}, ["b=1,2", "b=5"], PARSER).fixed == ["b=5"]


def test_probes_are_every_value_once_and_the_limits_of_numbers():
    plan = read_plan({"a": "choice(x,y,z)", "b": "int(interval(1,9))"}, [], PARSER)
    assert plan.probes() == [
        ("a=x", "b=1"),
        ("a=y", "b=1"),
        ("a=z", "b=1"),
        ("a=x", "b=9"),
    ]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ([], "nothing to search"),
        (["a=1"], "nothing to search"),
        (["tune.n_trials=1,2"], "a search sets tune for its trials itself"),
        (["sampler=tpe,random"], "sets sampler"),
        (["hydra.sweep.dir=a,b"], "sets hydra"),
    ],
)
def test_what_is_not_searched(typed, message):
    with pytest.raises(ConfigError, match=message):
        read_plan({}, typed, PARSER)


def test_a_value_that_is_no_override():
    with pytest.raises(ConfigError, match=r"lr=interval\(1,: not a valid override"):
        read_plan({"lr": "interval(1,"}, [], PARSER)
