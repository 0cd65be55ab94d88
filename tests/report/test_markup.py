from __future__ import annotations

import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganforge.report.markup import Markup, cleaned, data, element, escape, join
from tests.report.pages import Page

ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_text_is_escaped_and_markup_is_not():
    assert element("p", {"title": 'a"b'}, "<i>", element("b", None, "&")) == (
        '<p title="a&quot;b">&lt;i&gt;<b>&amp;</b></p>'
    )
    assert join("<", None, Markup("<br>")) == "&lt;<br>"
    assert escape(escape("<")) == "&lt;"
    assert isinstance(escape("x"), Markup)


def test_attributes_without_a_value():
    told = {"hidden": True, "disabled": False, "title": None, "min": 0}
    assert element("input", told) == '<input hidden min="0">'


@pytest.mark.parametrize("name", ["a b", "onclick=1", "", "<x", "p>"])
def test_names_are_names(name):
    with pytest.raises(ValueError, match="is not a name"):
        element("p", {name: "x"})
    with pytest.raises(ValueError, match="is not a name"):
        element(name)


@given(ANYTHING)
def test_whatever_a_run_is_called_stays_text(name):
    page = Page(element("p", {"title": name}, name))
    assert [tag for tag, _ in page.elements] == ["p"]
    shown = cleaned(name)
    assert page.elements[0][1]["title"] == shown
    assert "".join(page.texts) == (shown if shown.strip() else "")


@given(ANYTHING)
def test_values_for_the_script_stay_values(name):
    text = data({"name": name, "x": [1, 2.5]}, {"class": "values"})
    body = text.partition(">")[2].removesuffix("</script>")
    assert not set("<>&") & set(body)
    assert json.loads(body)["x"] == [1, 2.5]
    plain = [c for c in name if ord(c) >= 32 and c != "\x7f" and not 0x80 <= ord(c) < 0xA0]
    if "://" not in name and plain == list(name):
        assert json.loads(body)["name"] == name


def test_numbers_that_json_does_not_know_are_refused():
    with pytest.raises(ValueError):
        data([float("nan")])


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (
            "tune.storage=postgresql://me:secret@host/db x",
            "tune.storage=postgresql://host/db x",
        ),
        ("https://host:5432/a@b", "https://host:5432/a@b"),
        ("loss=hinge", "loss=hinge"),
    ],
)
def test_passwords_are_not_shown(typed, shown):
    assert cleaned(typed) == shown
    assert html.unescape(escape(typed)) == shown


def test_values_with_addresses_stay_json():
    body = data({"name": "redis://me:", "other": "a@b"}).partition(">")[2]
    assert json.loads(body.removesuffix("</script>")) == {"name": "redis://me:", "other": "a@b"}
