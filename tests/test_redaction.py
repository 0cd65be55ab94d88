from __future__ import annotations

import json

import pytest

from ganforge.redaction import redacted


def test_addresses_lose_their_credentials_and_nothing_else_changes():
    secret = "postgresql://user:pass@db.example/study"
    plain = {
        "tune": {"storage": secret, "n": 3},
        "typed": [f"tune.storage={secret}", "tags=[a@b]"],
        "lr": 1e-3,
        "mail": "a@b.example",
        "none": None,
    }
    open_address = "postgresql://db.example/study"
    assert redacted(plain) == plain | {
        "tune": {"storage": open_address, "n": 3},
        "typed": [f"tune.storage={open_address}", "tags=[a@b]"],
    }
    assert (
        redacted("ssh://git@host/x https://a.example/b@c") == "ssh://host/x https://a.example/b@c"
    )


@pytest.mark.parametrize("password", ["p@ss", "p'w", "a/b", "a:b", "12", "p,w", "%2F", ""])
def test_no_part_of_a_password_stays(password):
    address = f"postgresql+psycopg://user:{password}@db.example:5432/study"
    assert redacted(address) == "postgresql+psycopg://db.example:5432/study"
    assert redacted(f"x {address} y") == "x postgresql+psycopg://db.example:5432/study y"


@pytest.mark.parametrize(
    "text",
    ["https://host:5432/a@b", "https://host/a:b@c", "a@b", "http://host x@y", "C:/a@b", "/a:b@c"],
)
def test_other_text_stays(text):
    assert redacted(text) == text


def test_tokens_and_json():
    assert redacted("https://token@host/a") == "https://host/a"
    assert redacted("https://:token@host/a") == "https://host/a"
    values = {"one": "redis://me:", "two": "a@b"}
    assert json.loads(redacted(json.dumps(values, separators=(",", ":")))) == values
