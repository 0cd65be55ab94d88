"""The page itself: one file with inline style, script and images, which makes no requests."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from ganforge.report.markup import Markup, element, escape, join


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
