"""Why as a figure and as a page: whole, safe, with the numbers of the contributions."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from lenstui.export.why_svg import why_svg

import lenstui
from lenstui.export.why import Why, reasons_of
from lenstui.export.why_html import why_html
from lenstui.export.why_text import why_markdown, why_table
from lenstui.lens import encode
from lenstui.opening.source import Source
from lenstui.support.fixed_text import fixed_text
from tests.tiny.family_reading import TEXT, wired

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '</title><script>alert("x")</script>|`&'


def why(name: str = "Llama", text: str = TEXT, row: int | None = None, **options: Any) -> Why:
    model = wired(name)
    prompt = encode(model.tokenizer, text)
    source = Source("a <model>", None, "float32", (0.0,), kinds=("logit",))
    return Why(lenstui.contributions(model, text, row=row, token=77, **options), prompt, source, model.texts)


def titles(figure: str) -> dict[str, str]:
    """The numbers of the map by name, as they pop up."""
    root = ElementTree.fromstring(figure)
    said = [group.findtext(f"{SVG}title") or "" for group in root.findall(f"{SVG}g")]
    return dict(each.split(" ") for each in said)


def test_the_map_has_every_head_attention_and_mlp() -> None:
    found = why()
    of = found.contributions
    wanted = {head.name: fixed_text(head.contribution, 3) for head in of.named_heads}
    wanted |= {each.name: fixed_text(each.contribution, 3) for each in of.components[1:-1]}
    assert titles(why_svg(found, "lenstui why")) == wanted


def test_blocks_without_heads_have_empty_cells() -> None:
    numbers = titles(why_svg(why("Nemotron-H"), "x"))
    assert {numbers[f"0.{head}"] for head in range(4)} == {"–"}
    assert numbers["2.attn"] == "–" and numbers["2.mlp"] != "–" and numbers["1.0"] != "–"


def test_the_row_of_the_embedding_has_no_map() -> None:
    found = why(row=0)
    assert titles(why_svg(found, "x")) == {}
    assert "emb" in why_table(found)
    assert "<table>" in why_html(found, "x")


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in {"meta", "rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["td"]:
            self.cells.append(data)


def test_nothing_in_a_prompt_becomes_markup() -> None:
    found = replace(why(text=NASTY, neurons=True, all_rows=True), head="1.2")
    page = Page()
    page.feed(why_html(found, NASTY))
    assert page.open == [] and "script" not in page.tags
    assert page.tags.count("table") == 5
    root = ElementTree.fromstring(why_svg(found, NASTY))
    assert NASTY in (root.findtext(f"{SVG}desc") or "")
    assert page.cells[0] == max(found.contributions.components, key=lambda each: abs(each.contribution)).name
    assert {"default-src 'none'"} == set(re.findall(r"default-src '\w+'", why_html(found, NASTY)))


@pytest.mark.parametrize("name", ["Mamba", "Qwen3-Next", "Mixtral"])
def test_every_form_says_what_is_missing(name: str) -> None:
    found = why(name, neurons=True)
    reasons = list(reasons_of(found))
    assert reasons
    for text in (why_table(found), why_markdown(found, "x"), why_svg(found, "x"), why_html(found, "x")):
        for reason in reasons:
            assert reason.replace("'", "&#x27;") in text or reason in text


def test_a_control_character_is_escaped_in_every_form() -> None:
    found = why(text="a\x1b[2Jb")
    for text in (why_table(found), why_markdown(found, "x"), why_svg(found, "x"), why_html(found, "x")):
        assert "\x1b" not in text
