"""HTML elements and the page around them; no text of a run can become markup."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from ganforge.redaction import redacted

Value = str | int | float | bool | None
Attributes = Mapping[str, Value]
Named = dict[str, Value]

VOID = {"img", "input", "meta", "link", "br"}
# Characters that neither HTML nor XML allows, not even as character references.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9:-]*")


class Markup(str):
    """A string of safe HTML. All other strings are escaped when added to an element."""

    __slots__ = ()


def cleaned(text: str) -> str:
    """Returns text with secrets redacted and forbidden characters replaced by U+FFFD.

    Reports are meant to be shared, so secrets must not appear in them.
    """
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", redacted(text))


def escape(content: object) -> Markup:
    """Returns ``content`` as HTML: unchanged if it is markup, otherwise as escaped text."""
    if isinstance(content, Markup):
        return content
    return Markup(html.escape(cleaned(str(content)), quote=True))


def join(*contents: object) -> Markup:
    """Returns the contents concatenated; None is skipped."""
    return Markup("".join(escape(content) for content in contents if content is not None))


def element(tag: str, attributes: Attributes | None = None, *contents: object) -> Markup:
    """Returns ``<tag attributes>contents</tag>``.

    Args:
        tag: name of the element.
        attributes: values by name; True adds the attribute without a value, False and None omit it.
        contents: markup, or other values, which are escaped.

    Raises:
        ValueError: if a name is not valid in HTML.
    """
    for name in (tag, *(attributes or {})):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name of an element or attribute")
    pairs = "".join(_attribute(name, value) for name, value in (attributes or {}).items())
    if tag in VOID:
        return Markup(f"<{tag}{pairs}>")
    return Markup(f"<{tag}{pairs}>{join(*contents)}</{tag}>")


def note(text: str) -> Markup:
    """Returns a paragraph of small print."""
    return element("p", {"class": "note"}, text)


def data(values: Any, attributes: Attributes | None = None) -> Markup:
    """Returns values as JSON for the page's script, in a data element that is never executed."""
    text = cleaned(json.dumps(values, allow_nan=False, separators=(",", ":")))
    # HTML parses "</script>" and "<!--" even inside JSON strings, so "<" must not occur.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return element("script", {"type": "application/json", **(attributes or {})}, Markup(text))


def _attribute(name: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(value)}"'


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Attributes:
        anchor: element id, used for links within the page.
        title: heading, also shown in the table of contents.
        body: content below the heading.
    """

    anchor: str
    title: str
    body: Markup

    def markup(self) -> Markup:
        """Returns the section with its heading."""
        heading = element("h2", {"id": f"{self.anchor}-title"}, self.title)
        attributes = {"id": self.anchor, "aria-labelledby": f"{self.anchor}-title"}
        return element("section", attributes, heading, self.body)


def page(title: str, lead: Markup, sections: list[Section], footer: str) -> str:
    """Returns the complete HTML page.

    Its Content-Security-Policy forbids all requests and all scripts except its own, so that the
    browser blocks injected markup even if escaping has a bug.

    Args:
        title: heading.
        lead: content below the heading.
        sections: sections in order.
        footer: last line.
    """
    style, script = (_template(f"page.{kind}") for kind in ("css", "js"))
    links = [
        element("li", None, element("a", {"href": f"#{one.anchor}"}, one.title)) for one in sections
    ]
    own = f"style-src {_hash(style)}; script-src {_hash(script)}"
    policy = f"default-src 'none'; img-src data:; {own}; base-uri 'none'; form-action 'none'"
    return Template(_template("page.html")).substitute(
        policy=policy,
        title=escape(title),
        lead=lead,
        contents=element("ul", None, *links),
        sections=join(*(one.markup() for one in sections)),
        footer=escape(footer),
        style=style,
        script=script,
    )


def _template(name: str) -> str:
    return files("ganforge.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
