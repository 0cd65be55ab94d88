from __future__ import annotations

from ganforge.loggers.redaction import redacted


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
