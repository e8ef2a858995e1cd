"""The report of kept views: days, titles, tables and commands, and nothing hostile in it."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import datetime
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lenstui.export.markdown import code_span, markdown_table
from lenstui.export.notebook import KeptView
from lenstui.export.report import report_html, report_markdown

HOSTILE = "<script>alert(1)</script> `|` \x1b[31m ![x](http://evil/x.png) [a](http://evil) \u202e </code> **"


def view(
    subject: str, *, day: int = 1, figure: str = "", caption: str = "", command: str = "lenstui read x"
) -> KeptView:
    """One with a table, as `x` writes it, of a token that is its subject."""
    span = code_span(subject)
    table = "\n".join(markdown_table([span], ["1", "emb"], [[f"{span} 7%"], [f"{span} &lt;0.1%"]]))
    text = f"**logit lens** · probability\n\n{table}\n\nprompt {span}\n\n```sh\n{command}\n```\n"
    return KeptView(datetime(2026, 1, day, 9, 5).astimezone(), "readout", subject, text, figure, caption)


class Page(HTMLParser):
    """The elements of a page, their attributes, and the text in each kind of element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self._within: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._within.append(tag)
        self.texts.setdefault(tag, []).append("")
        if tag in {"meta", "img"}:
            self._within.pop()

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in set(self._within):
            self.texts[tag][-1] += data


def test_a_page_has_days_views_tables_and_commands() -> None:
    page = Page("".join(report_html([view("one"), view("two"), view("three", day=3)])))
    assert page.texts["h2"] == ["2026-01-01", "2026-01-03"]
    assert page.texts["h3"] == ["09:05 readout one", "09:05 readout two", "09:05 readout three"]
    assert page.texts["td"][:4] == ["1", "one 7%", "emb", "one <0.1%"]
    assert page.texts["pre"] == ["lenstui read x\n"] * 3
    assert "3 views" in page.texts["p"][0]
    assert "img" not in page.tags


def test_a_figure_is_a_picture_of_its_own() -> None:
    svg = "<svg><script>alert(1)</script><text>ä</text></svg>"
    html = "".join(report_html([view("one", figure=svg, caption='a "b" <c>')]))
    page = Page(html)
    attributes = dict(page.attributes)
    assert attributes["alt"] == 'a "b" <c>'
    head, _, content = str(attributes["src"]).partition(",")
    assert head == "data:image/svg+xml;base64"
    assert b64decode(content).decode() == svg
    assert page.texts["figcaption"] == ['a "b" <c>']
    assert "script" not in page.tags


def test_nothing_hostile_becomes_a_part_of_the_page() -> None:
    plain, hostile = (
        Page("".join(report_html([view(text, caption=text, command=f"lenstui read '{code}'")])))
        for text, code in (("x", "x"), (HOSTILE, "<b>"))
    )
    assert hostile.tags == plain.tags
    assert {name for name, _ in hostile.attributes} <= {
        "lang", "charset", "http-equiv", "content", "name", "datetime", "class",
    }  # fmt: skip
    html = "".join(report_html([view(HOSTILE)]))
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert any(HOSTILE[:25] in text for text in hostile.texts["code"])  # it is all there, as text
    policy = str(dict(plain.attributes).get("content", ""))
    assert "script" not in policy


def test_html_in_the_markdown_of_a_damaged_notebook_is_text() -> None:
    kept = view("x")
    changed = KeptView(kept.kept, kept.kind, kept.subject, "<img src=x onerror=alert(1)>\n\n<b>\n")
    page = Page("".join(report_html([changed])))
    assert not {"img", "b", "script"} & set(page.tags)


def test_markdown_has_the_views_as_they_were_written() -> None:
    views = [view("one"), view(HOSTILE), view("three", day=3)]
    text = "".join(report_markdown(views))
    assert re.findall("^## (.*)", text, re.M) == ["2026-01-01", "2026-01-03"]
    assert [line.split(" · ")[0] for line in re.findall("^### (.*)", text, re.M)] == ["09:05"] * 3
    for each in views:
        assert each.markdown in text
    assert "\x1b" not in text
    # What shows Markdown with all HTML in it finds no element but code.
    page = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert not {"script", "img", "a"} & set(page.tags)


@given(st.text(min_size=1, max_size=40))
def test_any_subject_leaves_the_page_as_it_is(subject: str) -> None:
    assert Page("".join(report_html([view(subject)]))).tags == Page("".join(report_html([view("x")]))).tags
