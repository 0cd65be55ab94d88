from __future__ import annotations

import json

import pytest

from ganforge.redaction import redacted, redacted_code, redacted_line, training_line


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


GITHUB = "ghp_" + "a1B2" * 9
SECRETS = [
    "https://gitlab.example/a.git?private_token=T0PSECRET&x=1",
    "https://oauth2:T0PSECRET@gitlab.example/a.git",
    "https://x-access-token:T0PSECRET@github.com/a/b",
    "ssh://git:T0PSECRET@host/a.git",
    "x-access-token:T0PSECRET@github.com",
    "+hydra.job.env_set.KEY=T0PSECRET",
    "ganforge train +hydra.job.env_set.KEY=T0PSECRET seed=1",
    "+hydra.job.env_set={A:T0PSECRET,B:T0PSECRET}",
    "WANDB_API_KEY=T0PSECRET ganforge train",
    "AWS_SECRET_ACCESS_KEY: T0PSECRET",
    "curl -H 'Authorization: Bearer T0PSECRET' host",
    "Authorization: Basic T0PSECRET",
    "PRIVATE-TOKEN: T0PSECRET",
    "password = 'T0PSECRET and more'",
    '{"api_key": "T0PSECRET", "seed": 1}',
    "wandb login --api-key T0PSECRET",
    "db_passwd=T0PSECRET",
    "MYSQL_PWD=T0PSECRET",
    "pw: T0PSECRET",
    "curl -u me:T0PSECRET host",
    "curl --user me:T0PSECRET host",
    "https://host/a?sig=T0PSECRET&se=2026",
    GITHUB.replace("a1B2a1B2", "T0PSECRET", 1),
    "sk-T0PSECRET0123456789abcdef",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nT0PSECRET\n-----END OPENSSH PRIVATE KEY-----",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_hidden(text):
    for value in (text, {"notes": text}, [text], {"a": [{"b": text}]}, f"see {text}"):
        assert "T0PSECRET" not in str(redacted(value)), redacted(value)
    assert redacted(redacted(text)) == redacted(text)


def test_quotes_around_a_secret_stay():
    text = '{"notes": "curl -u me:T0PSECRET", "pw": 1, "seed": 1}'
    assert json.loads(redacted(text))["notes"] == "curl -u me:***"


def test_values_are_hidden_by_their_key():
    plain = {"api_key": "a", "hydra": {"job": {"env_set": {"A": "a"}}}, "token": "", "tokens": "a"}
    hidden = {"api_key": "***", "hydra": {"job": {"env_set": {"A": "***"}}}}
    assert redacted(plain) == hidden | {"token": "", "tokens": "a"}
    assert json.loads(redacted(json.dumps({"api_key": 'a"b', "c": 1}))) == {
        "api_key": "***",
        "c": 1,
    }


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("/opt/venv/bin/ganforge", "ganforge train seed=1 'data.path=my photos'"),
        ("src/ganforge/__main__.py", "ganforge train seed=1 'data.path=my photos'"),
        ("src/other/__main__.py", "src/other/__main__.py seed=1 'data.path=my photos'"),
        ("./train.py", "python train.py seed=1 'data.path=my photos'"),
        ("mine.py", "mine.py seed=1 'data.path=my photos'"),
    ],
)
def test_a_training_can_be_typed_as_it_is_recorded(program, line):
    assert training_line([program, "seed=1", "data.path=my photos"]) == line


def test_a_command_line_is_hidden_by_argument():
    line = ["ganforge", "train", "notes=my words", "x.password=two words"]
    line += ["+hydra.job.env_set.KEY=two words", "seed=1"]
    hidden = "'x.password=***' '+hydra.job.env_set.KEY=***'"
    assert redacted_line(line) == f"ganforge train 'notes=my words' {hidden} seed=1"


@pytest.mark.parametrize(
    "text",
    [
        "model=gan network=mlp seed=1",
        "tokens=3 tokenizer=a n_tokens: 5",
        "the key to it: monkey=banana",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "bearer of news",
        "passing: yes",
        "pwm: 3 and cpw=1",
        "python -u train.py name=a:b",
        "docker run -u 1000:1000",
        "wget -u https://host/x",
        "network.conv_pw=true",
        "PWD=/home/me/exp",
        "secretary: no",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redacted(text) == text


def test_code_keeps_all_but_its_texts():
    code = "class_token = self.token(x)\npassword: str\ntoken=tokens[0]\n"
    assert redacted_code(code) == code
    assert redacted_code(f"api_key = 'abcdefgh'\nx = '{GITHUB}'") == "api_key = ***\nx = '***'"
