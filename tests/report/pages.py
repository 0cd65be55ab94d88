"""Run folders with all that a report shows, and what a page holds."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from tests.runs.past_runs import CURVE, past_run

VOID = {"img", "input", "meta", "link", "br"}
HEAD = "step,images_seen,seconds,fid_classifier,discriminator/real_logit,discriminator/fake_logit"
HEAD += ",discriminator/loss,generator/loss,images_per_second"


def whole_run(folder: Path, seed: int = 0, curve=CURVE, **others) -> Path:
    """Writes a run folder with curves and pictures; steps are images seen by 64."""
    past_run(folder, seed, curve, **others)
    rows = [
        f"{n // 64},{n},{n / 64},{v},{0.5 - v / 100},{v / 90 - 2},{1 + v / 50},{3 - v / 50},64.0"
        for n, v in curve
    ]
    (folder / "metrics.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    for n, _ in curve:
        grid(folder / "samples" / f"step_{n // 64:07d}.png", shade=n // 64 * 8)
    grid(folder / "samples" / "reals.png", shade=255)
    return folder


def grid(path: Path, shade: int, side: int = 66) -> None:
    """Writes a picture of one gray."""
    path.parent.mkdir(exist_ok=True)
    Image.new("L", (side, side), min(shade, 255)).save(path)


def noise(path, side=128, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


class Page(HTMLParser):
    """A page, taken apart.

    Attributes:
        elements: tag and attributes, in their order.
        texts: what is read, one entry for each element that has text of its own.
        tables: rows of cells, by caption.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._cells: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self._open == [], "elements that nobody closed"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self._cells = []
        elif tag == "tr":
            self._cells.append([])
        elif tag in ("td", "th"):
            self._cells[-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"{tag} closes another element"

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("script", "style"):
            if data.strip():
                self.texts.append(data)
            if "caption" in self._open and "table" in self._open:
                self.tables[data] = self._cells
            elif {"td", "th"} & set(self._open) and self._cells:
                self._cells[-1][-1] += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """Returns the attributes of elements; ``class_`` is one of several classes."""
        cls = wanted.pop("class_", None)
        return [
            told
            for name, told in self.elements
            if name == tag
            and all(told.get(key) == value for key, value in wanted.items())
            and (cls is None or cls in (told.get("class") or "").split())
        ]

    def rows(self, caption: str) -> list[dict[str, str]]:
        """Returns a table's rows by heading."""
        heads, *rows = self.tables[caption]
        return [dict(zip(heads, row, strict=True)) for row in rows]

    def assert_sound(self) -> None:
        """Nothing leads out of the page, and everything has a name."""
        ids = [told["id"] for _, told in self.elements if "id" in told]
        assert len(ids) == len(set(ids))
        for tag, told in self.elements:
            assert not [name for name in told if name.startswith("on")], (tag, told)
            assert "style" not in told, "the page's policy forbids it"
            for key in ("src", "href", "xlink:href", "action", "srcset", "data"):
                if key in told:
                    assert re.match(r"data:|#", told[key]), (tag, told[key][:80])
            if tag == "img":
                assert told["alt"]
            if tag == "input" and told["type"] != "checkbox":
                assert self.all("label", **{"for": told["id"]})
            if told.get("role") in ("img", "region"):
                assert told["aria-label"]
        for link in self.all("a"):
            assert link["href"].removeprefix("#") in ids


def read(path: Path) -> Page:
    """Reads a page; it must be sound."""
    page = Page(path.read_text(encoding="utf-8"))
    page.assert_sound()
    return page
