from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from ganforge.config.quoting import PATHS, TEXTS, quote_values, quoted, split_values
from tests.support.properties import deterministic

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
    "'a' and 'b'",
    "ends\\",
    "a\\'b",
    "'t Hooft",
    "a, b (c)",
    "x:y=z",
    "100 % $5 🙂",
]
EASY = ["photos", "my photos", "/a/b-c_d.e", "a:b", "../x", "latest"]


def read(argument):
    (override,) = OverridesParser.create().parse_overrides([argument])
    return override.value()


def values(argument):
    (override,) = OverridesParser.create().parse_overrides([argument])
    return list(override.sweep_string_iterator())


@pytest.mark.parametrize("text", HARD)
def test_any_path_and_text_arrives(text):
    for key in ("input", "+run_dir", "data.path", "hydra.sweep.dir", "notes", "name", "data.name"):
        (argument,) = quote_values([f"{key}={text}"])
        assert read(argument) == text
    (argument,) = quote_values([f"notes={text}"], sweeping=True)
    assert read(argument) == text


@pytest.mark.parametrize("path", [*EASY, "null"])
def test_plain_ones_stay_as_typed(path):
    for sweeping in (False, True):
        assert quote_values([f"input={path}"], sweeping) == [f"input={path}"]


@settings(deterministic, max_examples=60)
@given(
    st.sampled_from(sorted(PATHS | TEXTS)),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
    | st.text("ab ,='\"\\()[]{}$~:#%ü1e.", min_size=1),
)
def test_any_text_is_read_back(key, text):
    """Unless it is quoted, escaped or interpolated already, which is read as Hydra would."""
    (argument,) = quote_values([f"{key}={text}"])
    found = read(argument)
    if text[0] not in "'\"" and "\\" not in text and "${" not in text and text != "None":
        assert found == text or (found is None and text.lower() == "null")
    assert read(f"{key}={quoted(text)}") == text
    for one in quote_values([f"{key}={text}", f"tags=[{text}]", f"lr={text}"], sweeping=True):
        OverridesParser.create().parse_override(one)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\\,", [","]),
        (r"a\,b,c", ["a,b", "c"]),
        (r"a\ ,b", ["a ", "b"]),
        (r"~/a\,b,Größe", ["~/a,b", "Größe"]),
        (r"\(a,b\)", ["(a", "b)"]),
    ],
)
def test_escaped_characters_do_not_separate_the_values_of_a_sweep(text, found):
    (argument,) = quote_values([f"checkpoint={text}"], sweeping=True)
    override = OverridesParser.create().parse_override(argument)
    values = list(override.sweep_string_iterator()) if len(found) > 1 else [argument[11:]]
    assert [read(f"checkpoint={value}") for value in values] == found


def test_an_escaped_comma_is_part_of_a_tag():
    for text, tags in ((r"a\,b", ["a,b"]), (r"[Größe\,x,b]", ["Größe,x", "b"])):
        (argument,) = quote_values([f"tags={text}"])
        assert read(argument) == tags


@pytest.mark.parametrize(
    "argument",
    ["input='a,b'", 'out="a b"', r"input=a\,b", "out=${oc.env:HOME}/x", "input=", "tile=1e3"],
)
def test_values_in_hydra_syntax_are_not_changed(argument):
    assert quote_values([argument]) == [argument]


def test_an_interpolation_survives_quotes():
    (argument,) = quote_values(["log_dir=${oc.env:HOME}/Größe (1)"])
    assert read(argument) == "${oc.env:HOME}/Größe (1)"


@pytest.mark.parametrize("key", ["run_dir", "resume", "out"])
def test_none_is_null_for_paths(key):
    assert quote_values([f"{key}=None"]) == [f"{key}=null"]


@pytest.mark.parametrize("text", ["null", "None", "true", "1e3", "007"])
def test_names_and_notes_are_always_text(text):
    for key in ("name", "notes"):
        (argument,) = quote_values([f"{key}={text}"])
        assert read(argument) == text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("run=a,b", ["a", "b"]),
        ("data.path=~/a,b (2)", ["'~/a'", "'b (2)'"]),
        ("data.path='a,b',[c]", ["'a,b'", "'[c]'"]),
        ("data.path=choice(~/a,b)", ["'~/a'", "b"]),
        ("seed=range(1,3)", ["1", "2"]),
        ("input=it's,b", ["'it\\'s'", "b"]),
        ("name=Über,1e3", ["'Über'", "'1e3'"]),
        ("tags=[größe,a b],[c]", ["['größe',a\\ b]", "[c]"]),
    ],
)
def test_a_comma_separates_the_values_of_a_sweep(typed, meant):
    (argument,) = quote_values([typed], sweeping=True)
    assert values(argument) == meant


@pytest.mark.parametrize("key", ["log_dir", "hydra.sweep.dir", "hydra.run.dir", "tune.storage"])
def test_what_a_whole_sweep_has_is_one_value(key):
    (argument,) = quote_values([f"{key}=rd/lg, [z]"], sweeping=True)
    assert read(argument) == "rd/lg, [z]"


def test_a_path_that_exists_is_one_value(tmp_path):
    folder = tmp_path / "My Photos (2024), best"
    (argument,) = quote_values([f"data.path={folder}"], sweeping=True)
    assert values(argument) == [f"'{folder.parent}/My Photos (2024)'", "best"]
    folder.mkdir()
    for sweeping in (False, True):
        assert quote_values([f"data.path={folder}"], sweeping) == [f"data.path='{folder}'"]


@pytest.mark.parametrize("sweeping", [False, True])
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("[größe,a b]", ["größe", "a b"]),
        ("[a (b), c:d, 1e3]", ["a (b)", "c:d", "1e3"]),
        ("größe", ["größe"]),
        ("a,b", ["a", "b"]),
        ("['a,b',c]", ["a,b", "c"]),
        ("[]", []),
    ],
)
def test_lists_of_texts(typed, meant, sweeping):
    (argument,) = quote_values([f"tags={typed}"], sweeping)
    assert read(argument) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("features.module=größe", "größe"), ("+data.a=[größe,b]", ["größe", "b"]), ("lr=1e-3", 1e-3)],
)
def test_what_hydra_cannot_read_is_text(typed, meant):
    assert read(quote_values([typed])[0]) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("by=model,loss", "model,loss"),
        ("by=model", "model"),
        ("runs=[a,b]", ["a", "b"]),
        ("runs=[~/a,ü]", ["~/a", "ü"]),
        ("runs=0-loss=hinge,seed=1", "0-loss=hinge,seed=1"),
        ("runs=logs/train/*/*-dcgan-*", "logs/train/*/*-dcgan-*"),
        ("runs=logs/*-s[12]", "logs/*-s[12]"),
    ],
)
def test_lists_of_runs_and_keys(typed, meant):
    (argument,) = quote_values([typed])
    assert read(argument) == meant


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b", ["a", "b"]),
        ("a (b,c),d", ["a (b,c)", "d"]),
        ("a (b,c", ["a (b", "c"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("['x]',y],z", ["['x]',y]", "z"]),
        ("it's,b's", ["it's", "b's"]),
    ],
)
def test_commas_within_quotes_and_brackets_separate_nothing(text, parts):
    assert split_values(text) == parts
