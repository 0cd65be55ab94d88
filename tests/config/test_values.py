from __future__ import annotations

import pytest

from ganforge.config.values import check_name, number_faults
from ganforge.errors import ConfigError


@pytest.mark.parametrize("name", ["dcgan-mnist", "Über 3: a, b (c)", "1e3", "é" * 90, "a.b", "🙂"])
def test_names_that_are_legal(name):
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "a\\b", ".a", "-a", " a", "a.", "a ", "a\nb", "\x1b[2J", "a" * 129, "語" * 61],
)
def test_names_that_are_refused(name):
    with pytest.raises(ConfigError, match="name="):
        check_name(name)


@pytest.mark.parametrize(
    ("plain", "faults"),
    [
        ({"seed": 2**64}, ["seed must be in -9223372036854775808 ... 18446744073709551615, got"]),
        ({"seed": -(2**63) - 1}, ["seed must be in"]),
        ({"seed": 2**64 - 1, "a": [1.0, {"b": 1e308}]}, []),
        ({"o": {"lr": float("inf")}}, ["o.lr must be a finite number, got inf"]),
        (
            {"a": [0, {"b": float("nan")}], "where": {"c": float("inf")}},
            ["a[1].b must be a finite"],
        ),
    ],
)
def test_numbers_that_no_setting_can_have(plain, faults):
    found = number_faults(plain)
    assert len(found) == len(faults)
    assert all(one.startswith(text) for one, text in zip(found, faults, strict=True))
