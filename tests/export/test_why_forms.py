"""Why as a figure and as a page: whole, safe, with the numbers of the contributions."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import lenstui
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.style import FigureStyle
from lenstui.export.figures.why import why_figure
from lenstui.export.why import Why, reasons_of
from lenstui.export.why_html import why_html
from lenstui.export.why_text import why_markdown, why_table
from lenstui.lens import encode
from lenstui.opening.source import Source
from lenstui.support.errors import LensError
from lenstui.support.fixed_text import fixed_text
from tests.by_hand import drawn
from tests.tiny.family_reading import TEXT, wired

NASTY = '</title><script>alert("x")</script>|`&'


def why(name: str = "Llama", text: str = TEXT, row: int | None = None, **options: Any) -> Why:
    model = wired(name)
    prompt = encode(model.tokenizer, text)
    source = Source("a <model>", None, "float32", (0.0,), kinds=("logit",))
    return Why(lenstui.contributions(model, text, row=row, token=77, **options), prompt, source, model.texts)


def titles(page: str) -> dict[str, str]:
    """The numbers of the map of a page by name, as they pop up."""
    return dict(each.split(" ") for each in re.findall(r'<td class="l\d+" title="([^"]+)">', page))


def figure(found: Why, *, greyscale: bool = False, command: str = "x") -> FigureFile:
    return why_figure("svg", found, FigureStyle(greyscale=greyscale), command)


def test_the_map_has_every_head_attention_and_mlp() -> None:
    found = why()
    of = found.contributions
    numbers = {each.name: each.contribution for each in (*of.named_heads, *of.components[1:-1])}
    assert titles(why_html(found, "x")) == {name: fixed_text(each, 3) for name, each in numbers.items()}
    heads = of.heads.shape[1]
    names = [*map(str, range(heads)), "attn", "mlp"]
    wanted = [
        fixed_text(numbers[f"{block}.{name}"], 2)
        for block in reversed(range(len(of.heads)))
        for name in names
    ]
    made = figure(found)
    assert [text for _, _, text in drawn.cells(made.content)] == wanted
    said = drawn.said(made.content)
    assert {*names, "block", "attention head", "contribution to the logit, nats"} <= set(said)
    assert said.count(found.cell) == 1


def test_a_cell_is_darker_the_more_it_contributes_and_framed_in_grey_below_zero() -> None:
    found = why()
    by_size: dict[str, list[float]] = {}
    for fill, _, text in drawn.cells(figure(found, greyscale=True).content):
        by_size.setdefault(fill, []).append(abs(float(text.replace("−", "-"))))
    darkest_first = [by_size[fill] for fill in sorted(by_size)]
    assert all(min(one) >= max(other) - 0.011 for one, other in pairwise(darkest_first))
    frames = [box for box in drawn.boxes(figure(found, greyscale=True).content) if box.edge != "none"]
    assert len(frames) > 5 and "cells with a frame are below 0" in figure(found, greyscale=True).caption.text
    assert all(box.edge == "none" for box in drawn.boxes(figure(found).content))


def test_a_head_is_drawn_by_what_it_read() -> None:
    found = replace(why(), head="1.2")
    of = found.contributions
    made = figure(found)
    said = drawn.said(made.content)
    for column in range(of.column + 1):
        weight, share = float(of.weights[1, 2, column]), float(of.sources[1, 2, column])
        line = said.index(f"{found.texts[of.ids[column]]} ({column})")
        assert line >= 0
        assert fixed_text(weight, 3) in said and fixed_text(share, 3) in said
    assert said[:3] == [f"attention head 1.2 in column {of.column}", "attention", "contribution, nats"]
    assert made.caption.title.startswith("What attention head 1.2 read: row ")
    with pytest.raises(
        LensError, match=r"^30 mm are too narrow for this figure: it takes at least \d+ mm\.$"
    ):
        why_figure("svg", found, FigureStyle(30), "x")


def test_blocks_without_heads_have_empty_cells() -> None:
    found = why("Nemotron-H")
    numbers = titles(why_html(found, "x"))
    assert not any(f"0.{head}" in numbers for head in range(4))
    assert "2.attn" not in numbers and "2.mlp" in numbers and "1.0" in numbers
    of = found.contributions
    count = int(np.isnan(of.heads).sum() + np.isnan(of.attention).sum() + np.isnan(of.mlp).sum())
    empty = [fill for fill, _, text in drawn.cells(figure(found).content) if not text]
    assert empty == ["#ffffff"] * count


def test_the_row_of_the_embedding_has_no_map() -> None:
    found = why(row=0)
    assert titles(why_html(found, "x")) == {}
    assert "emb" in why_table(found)
    assert "<table>" in why_html(found, "x")
    with pytest.raises(LensError, match="There is no map"):
        figure(found)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag != "meta":
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
    assert page.tags.count("table") == 6
    assert NASTY in drawn.description(figure(found, command=NASTY).content)
    largest = max(found.contributions.components, key=lambda each: abs(each.contribution))
    in_map = len(titles(why_html(found, NASTY)))
    assert page.cells[in_map] == largest.name
    assert {"default-src 'none'"} == set(re.findall(r"default-src '\w+'", why_html(found, NASTY)))


@pytest.mark.parametrize("name", ["Mamba", "Qwen3-Next", "Mixtral"])
def test_every_form_says_what_is_missing(name: str) -> None:
    found = why(name, neurons=True)
    reasons = list(reasons_of(found))
    assert reasons
    for text in (
        why_table(found),
        why_markdown(found, "x"),
        figure(found).caption.text,
        why_html(found, "x"),
    ):
        for reason in reasons:
            assert reason.replace("'", "&#x27;") in text or reason in text


def test_a_control_character_is_escaped_in_every_form() -> None:
    found = why(text="a\x1b[2Jb")
    for text in (
        why_table(found),
        why_markdown(found, "x"),
        figure(found).content.decode(),
        why_html(found, "x"),
    ):
        assert "\x1b" not in text
