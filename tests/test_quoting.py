from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ganforge.quoting import quote_paths

HARD = [
    "Fotos (2024)",
    "фото",
    "a=b",
    "a,b",
    "[1]",
    "{x}",
    "~/photos",
    "it's",
    '6" prints',
    " spaced ",
    "1e3",
    "007",
    "1_000",
    "true",
    "nan",
    "#1 & more!",
]
EASY = ["photos", "my photos", "/a/b-c_d.e", "a:b", "../x", "null", "latest"]


def read(argument):
    (override,) = OverridesParser.create().parse_overrides([argument])
    return override.value()


@pytest.mark.parametrize("path", HARD)
def test_any_path_arrives(path):
    (argument,) = quote_paths([f"input={path}"])
    assert read(argument) == path


@pytest.mark.parametrize("path", EASY)
def test_plain_ones_stay_as_typed(path):
    assert quote_paths([f"input={path}"]) == [f"input={path}"]


@pytest.mark.parametrize(
    "argument",
    ["input='a,b'", 'out="a b"', r"input=a\,b", "out=${oc.env:HOME}/x", "input=", "tile=1e3"],
)
def test_what_was_meant_is_left_alone(argument):
    assert quote_paths([argument]) == [argument]


def test_a_sweep_goes_over_paths():
    for flag in ("-m", "--multirun"):
        assert quote_paths([flag, "run=a,b"]) == [flag, "run=a,b"]
    assert quote_paths(["run=a,b"]) == ["run='a,b'"]


@pytest.mark.parametrize("key", ["data.path", "data.path_a", "data.path_b", "data.root"])
def test_data_may_lie_anywhere(key):
    assert quote_paths([f"{key}=Fotos (2024)"]) == [f"{key}='Fotos (2024)'"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("by=model,loss", "model,loss"),
        ("by=model", "model"),
        ("runs=[a,b]", ["a", "b"]),
        ("runs=0-loss=hinge,seed=1", "0-loss=hinge,seed=1"),
        ("runs=logs/train/*/*-dcgan-*", "logs/train/*/*-dcgan-*"),
        ("runs=logs/*-s[12]", "logs/*-s[12]"),
    ],
)
def test_lists_of_runs_and_keys(typed, meant):
    (argument,) = quote_paths([typed])
    assert read(argument) == meant
