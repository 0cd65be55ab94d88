"""Unusual values on the command line: each gives a valid run or one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from attacks.bases import FROM_FILES, TRAIN, gan, images
from attacks.probe import Outcome, Probe, copied

FREE = [
    "Größe 3",
    "a, b (c)",
    "x:y=z",
    "50 % of $HOME",
    "it's",
    'she said "no"',
    "a [bracket] and [/bold]",
    "{curly}",
    "日本語 😀",
    "-- dashes",
    "#hash",
    "a\\b",
    "null",
    "true",
    "1e3",
    "~",
    "a=b=c",
    "trailing ",
    "!bang * star",
]
NAMES = ["a/b", "..", ".", "", "x" * 300, "a\x00b", "a\nb", "\x1b[31mred", "-dash", "1e3", "null"]
SEEDS = [
    "-9223372036854775809",
    "1.5",
    "18446744073709551616",
    "1e400",
    "nan",
    "abc",
    "[1]",
    "99999999999999999999",
]
NUMBERS = {
    "optimizer.generator.lr": ["nan", "inf", "-1", "0", "abc"],
    "data.batch_size": ["0", "-1", "1.5", "nan", "99999999999999999999", "null"],
    "trainer.max_steps": ["0", "-7", "1e3", "nan"],
    "data.image_size": ["0", "-16", "7", "null"],
    "data.workers": ["-1", "100000", "1.5"],
    "callbacks.samples.count": ["0", "-4", "99999999"],
}


def probes() -> Iterator[Probe]:
    """Yields the probes."""
    for text in FREE:
        yield Probe("free text", f"notes={text}", [*TRAIN, f"notes={text}"], codes=(0,),
                    check=_kept("notes", text))  # fmt: skip
    for text in ("Größe", "a b", "x:y", "it's", "50%", "#1", "1e3", "(x)"):
        yield Probe("free text", f"tags=[{text}]", [*TRAIN, f"tags=[{text}]"], codes=(0,),
                    check=_kept("tags", [text]))  # fmt: skip
    for text in ("Über", "a b", "x=y", "it's", "1e3", "007", "(x)", "[x]", "[/bold]"):
        yield Probe("names", f"name={text}", [*TRAIN, f"name={text}"], codes=(0, 2))
    for text in NAMES:
        yield Probe("names", f"name={text!r:.20}", [*TRAIN, f"name={text}"], codes=(0, 2),
                    check=_in_logs)  # fmt: skip
    for seed in SEEDS:
        yield Probe("numbers", f"seed={seed}", [*TRAIN, f"seed={seed}"], codes=(2,))
    for key, values in NUMBERS.items():
        for value in values:
            yield Probe("numbers", f"{key}={value}", [*TRAIN, f"{key}={value}"], codes=(0, 1, 2))
    yield from _paths()
    yield from _sizes()


def _kept(key: str, value: object) -> object:
    def check(folder: Path, outcome: Outcome) -> str | None:
        if outcome.code != 0:
            return None
        (path,) = (folder / "logs" / "train").glob("2*/*/config.yaml")
        found = yaml.safe_load(path.read_text())[key]
        same = [str(v) for v in found] == value if isinstance(value, list) else found == value
        stripped = isinstance(value, str) and found == value.strip()
        return None if same or stripped else f"{key} is {found!r}"

    return check


def _in_logs(folder: Path, outcome: Outcome) -> str | None:
    unexpected = [p.name for p in folder.iterdir() if p.name not in ("logs", "outputs")]
    return f"created {unexpected}" if unexpected else None


PATHS = [
    "a b",
    "a,b",
    "a=b",
    "a(1)",
    "[a]",
    "[/bold]",
    "größe",
    "it's",
    "a$b",
    "a;b",
    "a&b",
    "a#b",
    "%41",
    "{a}",
    "1e3",
    "null",
    "true",
    "-a",
    "a:b",
    "a!b",
]


def _paths() -> Iterator[Probe]:
    for name in PATHS:
        yield Probe(
            "paths",
            f"data.path={name}",
            [*FROM_FILES, f"data.path=./{name}"],
            lambda folder, name=name: images(folder / name),
            (0,),
        )
    for name in PATHS[:12]:
        yield Probe("paths", f"log_dir={name}", [*TRAIN, f"log_dir=./{name}"], codes=(0,),
                    check=lambda f, o, name=name: None if (f / name / "train").is_dir()
                    else f"no {name}")  # fmt: skip
        yield Probe("paths", f"run_dir={name}", [*TRAIN, f"run_dir=./{name}"], codes=(0,),
                    check=lambda f, o, name=name: None if (f / name / "config.yaml").is_file()
                    else f"no {name}")  # fmt: skip
        yield Probe(
            "paths",
            f"sample out={name}.png",
            ["sample", "run=run", "n=2", f"out=./{name}.png"],
            lambda folder: copied(gan())(_made(folder / "run")),
            (0,),
            check=lambda f, o, name=name: None if (f / f"{name}.png").is_file() else "no picture",
        )
    for path in ("~nosuchuser/x", "x" * 5000, "/proc/self/mem", "/etc/shadow/x", "a\x00b"):
        yield Probe("paths", f"data.path={path:.20}", [*FROM_FILES, f"data.path={path}"])
        yield Probe("paths", f"log_dir={path:.20}", [*TRAIN, f"log_dir={path}"])
        yield Probe("paths", f"run={path:.20}", ["sample", f"run={path}", "n=2"])


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _sizes() -> Iterator[Probe]:
    for typed in (
        ["data.workers=100000"],
        ["callbacks.samples.count=99999999"],
        ["data.size=999999999999"],
        ["data.image_size=1000000"],
        ["data.batch_size=999999999"],
        ["-m", "seed=range(1000000000)"],
        ["-m", "seed=range(0,10000000000000)"],
        ["network.generator.hidden=[999999999]"],
    ):
        yield Probe("costs", " ".join(typed), [*TRAIN, *typed], codes=(1, 2), seconds=30)
    for typed in (["n=99999999999"], ["n=99999999999", "out=many"], ["n=99999999999", "out=x.npz"],
                  ["n=-1"], ["n=0"], ["seed=-1"], ["class=99"], ["n=2", "out=/dev/full"],
                  ["n=2", "out="], ["n=2", "out=/proc/x.png"]):  # fmt: skip
        yield Probe(
            "costs",
            f"sample {' '.join(typed)}",
            ["sample", "run=run", *typed],
            lambda folder: copied(gan())(_made(folder / "run")),
            (0, 1, 2) if typed in (["seed=-1"], ["n=2", "out="]) else (1, 2),
            seconds=30,
        )
    for typed in (["n=999999999999"], ["bootstrap=999999999", "n=4"], ["n=4", "out=/proc/x"]):
        yield Probe(
            "costs",
            f"evaluate {' '.join(typed)}",
            ["evaluate", "run=run", "metrics=[fid]", "features=module",
             "features.module=torch.nn.Flatten", "features.size=8", *typed],
            lambda folder: copied(gan())(_made(folder / "run")),
            (1, 2),
            seconds=30,
        )  # fmt: skip
    for typed in (["max_mb=nan"], ["max_mb=-1"], ["max_mb=inf"], ["out=/proc/x.html"]):
        yield Probe(
            "costs",
            f"report {' '.join(typed)}",
            ["report", "run=run", *typed],
            lambda folder: copied(gan())(_made(folder / "run")),
            (0, 1, 2) if typed == ["max_mb=inf"] else (1, 2),
        )
