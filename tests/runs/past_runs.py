"""Run folders that were never trained: what a comparison reads, and no more."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import yaml

CONFIG = {
    "seed": 0,
    "name": "dcgan-digits",
    "log_dir": "logs",
    "data": {
        "_target_": "ganforge.data.Digits",
        "name": "digits",
        "image_size": 32,
        "batch_size": 32,
        "seed": "${seed}",
        "workers": 0,
    },
    "loss": {"_target_": "ganforge.losses.MinimaxLoss"},
    "optimizer": {"generator": {"lr": 0.001}, "discriminator": {"lr": 0.001}},
    "metrics": {"fid": {"_target_": "ganforge.metrics.FrechetDistance"}},
    "callbacks": {
        "evaluation": {"_target_": "ganforge.callbacks.Evaluation", "n": 2000},
        "samples": {"_target_": "ganforge.callbacks.Samples", "every_n_steps": 500},
    },
    "logger": {"csv": {"folder": "${run_dir}"}},
    "model": {"generator_optimizer": "${optimizer.generator}", "seed": "${seed}"},
    "trainer": {"max_steps": 20, "log_every_n_steps": 50},
}
CHOICES = {"model": "dcgan", "data": "digits", "loss": "minimax", "logger": "auto"}
PROTOCOL = {"features": "classifier-v1", "n_real": 1500, "n_fake": 2000, "weights": "ema"}
CURVE = ((0, 90.0), (640, 20.0), (1280, 10.0))


def past_run(
    folder: Path,
    seed: int = 0,
    curve=CURVE,
    settings=None,
    choices=None,
    protocol=None,
    higher=False,
    name="fid_classifier",
    **summary,
) -> Path:
    """Writes a run folder of a run whose score went along ``curve`` of images seen and values."""
    config = copy.deepcopy(CONFIG) | {"seed": seed, "run_dir": str(folder)}
    for key, value in (settings or {}).items():
        *parents, last = key.split(".")
        node = config
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    folder.mkdir(parents=True)
    (folder / "composed.yaml").write_text(yaml.safe_dump(config))
    resolved = config | {"model": {"seed": seed}}
    (folder / "config.yaml").write_text(yaml.safe_dump(resolved))
    (folder / "choices.json").write_text(json.dumps(CHOICES | (choices or {})))
    images, last = curve[-1]
    score = {"value": last, "std": 0.1, "step": 20, "images_seen": images} | PROTOCOL
    score |= {"higher_is_better": higher} | (protocol or {})
    report = {
        "run": folder.name,
        "data": "digits",
        "seed": seed,
        "device": "cpu, 32-true (no GPU found)",
        "status": "completed",
        "step": 20,
        "images_seen": images,
        "seconds": 10.0 + seed,
        "images_per_second": 64.0,
        "metrics": {name: score},
        "history": [{"step": n // 64, "images_seen": n, name: v} for n, v in curve],
        "parameters": {"generator": 1000, "discriminator": 500},
    }
    (folder / "summary.json").write_text(json.dumps(report | summary))
    return folder


def seeds(folder: Path, finals, **others) -> list[Path]:
    """Writes one run for each final value, with seeds 1, 2, ..."""
    return [
        past_run(folder / f"{place}", place, ((0, 90.0), (640, final + 5), (1280, final)), **others)
        for place, final in enumerate(finals, 1)
    ]


def touch(folder: Path, time: float) -> None:
    """Lets a run seem to have ended at ``time``."""
    os.utime(folder / "summary.json", (time, time))


def parsed(markdown: str) -> dict[str, list[dict[str, str]]]:
    """Returns the tables of a Markdown text by heading, as a reader's program renders them."""
    from markdown_it import MarkdownIt

    tables: dict[str, list[dict[str, str]]] = {}
    heading, cells, names = "", [], []
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "inline" and before.type == "heading_open":
            heading, names = _text(token), []
        elif token.type == "inline" and before.type in ("th_open", "td_open"):
            cells.append(_text(token))
        elif token.type == "tr_close":
            if names:
                tables[heading].append(dict(zip(names, cells, strict=True)))
            else:
                names, tables[heading] = cells, []
            cells = []
    return tables


def _text(token) -> str:
    return "".join(child.content for child in token.children)
