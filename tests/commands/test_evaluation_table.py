import io

import pytest
from rich.console import Console

from ganforge.commands.evaluation_table import show
from ganforge.metrics.evaluate import Result

INCEPTION = {"features": "inception-v3-compat", "resize": "bilinear-antialias-299"}
PIXELS = {"features": "pixels", "resize": "none"}


def result(value, std=None, n_real=10_000, bootstrap=False, protocol=INCEPTION):
    more = {"low": 0.9 * value, "high": 1.1 * value, "bootstrap": 100} if bootstrap else {}
    return Result(value, std, n_real=n_real, n_fake=10_000, split="train", **protocol, **more)


def printed(bootstrap, width=80):
    results = {
        "fid": result(12.34567, bootstrap=bootstrap),
        "kid": result(0.0123456, 0.000812345, bootstrap=bootstrap),
        "is": result(7.12, 0.1, 0, bootstrap),
        "classification_accuracy": result(0.75, None, 0, bootstrap, PIXELS),
    }
    out = io.StringIO()
    show(results, "step 1000, weights ema", Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("bootstrap", [False, True])
def test_nothing_is_folded_at_80_columns(bootstrap):
    text = printed(bootstrap)
    assert max(len(line) for line in text.splitlines()) <= 80
    rows = [line.strip("│ ").split() for line in text.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == ["fid", "kid", "is", "classification_accuracy"]
    assert [row[-1] for row in rows] == ["1", "1", "2", "3"]
    for value in ("12.35", "0.01235 +- 0.000812", "7.12 +- 0.1", "0.75"):
        assert value in text
    assert ("11.11 ... 13.58" in text) == ("95 % interval" in text) == bootstrap


def test_each_protocol_is_told_once():
    text = " ".join(printed(False).split())
    shared = "n_fake=10000, split=train, resize=bilinear-antialias-299"
    assert text.count(f"protocol 1: features=inception-v3-compat, n_real=10000, {shared}") == 1
    assert text.count(f"protocol 2: features=inception-v3-compat, n_real=0, {shared}") == 1
    assert "protocol 3: features=pixels, n_real=0, n_fake=10000, split=train, resize=none" in text
    assert "protocol 4" not in text
