"""Elements of HTML, built so that no string of a run can become markup."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from ganforge.redaction import redacted

Value = str | int | float | bool | None
Attributes = Mapping[str, Value]
Named = dict[str, Value]

VOID = {"img", "input", "meta", "link", "br"}
# What neither HTML nor XML may hold, not even as a reference.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9:-]*")


class Markup(str):
    """Text that is HTML already. Every other string is escaped where it is put into an element."""

    __slots__ = ()


def cleaned(text: str) -> str:
    """Returns text that may be shown to others: a report is made to be handed on."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", redacted(text))


def escape(content: object) -> Markup:
    """Returns ``content`` as HTML: itself if it is markup, else its text with nothing special."""
    if isinstance(content, Markup):
        return content
    return Markup(html.escape(cleaned(str(content)), quote=True))


def join(*contents: object) -> Markup:
    """Returns contents one behind the other; None is left out."""
    return Markup("".join(escape(content) for content in contents if content is not None))


def element(tag: str, attributes: Attributes | None = None, *contents: object) -> Markup:
    """Returns ``<tag attributes>contents</tag>``.

    Args:
        tag: name of the element.
        attributes: by name; True for one without a value, False and None for none.
        contents: markup, or what is escaped.

    Raises:
        ValueError: a name that HTML does not allow.
    """
    for name in (tag, *(attributes or {})):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of an element or attribute")
    told = "".join(_attribute(name, value) for name, value in (attributes or {}).items())
    if tag in VOID:
        return Markup(f"<{tag}{told}>")
    return Markup(f"<{tag}{told}>{join(*contents)}</{tag}>")


def data(values: Any, attributes: Attributes | None = None) -> Markup:
    """Returns values as JSON for the page's script, in an element that the browser never runs."""
    text = cleaned(json.dumps(values, allow_nan=False, separators=(",", ":")))
    # "</script>" and "<!--" would end the element early, whatever surrounds them.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    told = {"type": "application/json", **(attributes or {})}
    return element("script", told, Markup(text))


def _attribute(name: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(value)}"'
