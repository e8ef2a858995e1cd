"""Readouts with rows of sublayers in every form: what the tuned lens does not read is nowhere a number."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from lenstui.export.csv_text import csv_text
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.grid import grid_figure
from lenstui.export.figures.style import FigureStyle
from lenstui.export.html_page import html_page
from lenstui.export.json_contract import json_text
from lenstui.export.markdown import markdown
from lenstui.export.parquet_file import write_parquet
from lenstui.export.table import table
from lenstui.lens import Readout
from lenstui.readout.cells import Cells
from lenstui.readout.values import KL, PROBABILITY
from tests.by_hand import drawn
from tests.by_hand.known_readouts import HOSTILE, HOSTILE_SOURCE, PINS, heading, hostile_readout, tiles

ROWS = ("emb", "0.attn", "0.mid", "0.mlp", "0", "1.attn", "1.mid", "1.mlp", "1")
STREAM = [0, 4, 8]
PARTS = [row for row in range(len(ROWS)) if row not in STREAM]
COLUMNS = 5
SAID = "k.attn, k.mlp: the logits that attention and MLP of block k add, at the scale that the final norm has"


def with_sublayers() -> Readout:
    whole = hostile_readout(COLUMNS, len(ROWS))
    tuned = whole.lenses["tuned"]
    absent = {}
    for field in fields(Cells):
        numbers = getattr(tuned, field.name).copy()
        numbers[PARTS] = np.nan if numbers.dtype == np.float32 else -1
        absent[field.name] = numbers
    # What is between two rows is far from the final distribution.
    far = whole.lenses["logit"].kl.copy()
    far[PARTS] += 50
    logit = replace(whole.lenses["logit"], kl=far)
    return Readout(whole.prompt, ROWS, {"logit": logit, "tuned": Cells(**absent)}, whole.pins)


READOUT = with_sublayers()
SOURCE = replace(HOSTILE_SOURCE, sublayers=True)


def heading_() -> Any:
    return replace(heading(READOUT), source=SOURCE)


def test_json_has_null_where_the_tuned_lens_has_no_number() -> None:
    content = json.loads(json_text(READOUT, HOSTILE, SOURCE, PINS))
    assert (content["rows"], content["sublayers"]) == (list(ROWS), True)
    tuned, logit = content["lenses"]["tuned"], content["lenses"]["logit"]
    for row in PARTS:
        for name in ("top_ids", "top_tokens", "top_logits", "top_probs"):
            assert tuned[name][row] == [[None, None]] * COLUMNS, name
            assert None not in [number for cell in logit[name][row] for number in cell], name
        for name in ("entropy", "kl", "js", "final_rank", "next_logprob", "next_rank"):
            assert tuned[name][row] == [None] * COLUMNS, name
        for pin in content["pins"]:
            assert pin["tuned"]["logprob"][row] == pin["tuned"]["rank"][row] == [None] * COLUMNS
    for lens in (tuned, logit):
        assert set(lens["crystallization"]) <= {"emb", "0", "1"}
        assert None not in lens["entropy"][STREAM[1]]


def test_csv_and_parquet_have_no_line_for_what_is_not_read() -> None:
    text = "".join(csv_text(tiles(READOUT), heading_(), HOSTILE))
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(lines) == COLUMNS * (len(ROWS) + len(STREAM))
    assert {line["row"] for line in lines if line["lens"] == "tuned"} == {"emb", "0", "1"}
    assert {line["crystallization"] for line in lines} <= {"emb", "0", "1"}
    indices = {(line["row"], line["row_index"]) for line in lines}
    assert indices == {("emb", "0"), ("0", "1"), ("1", "2"), *((ROWS[row], "") for row in PARTS)}
    assert {line["sublayers"] for line in lines} == {"true"}
    file = io.BytesIO()
    write_parquet(tiles(READOUT), heading_(), HOSTILE, file)
    columns = pq.read_table(io.BytesIO(file.getvalue())).to_pydict()
    assert columns["row"] == [line["row"] for line in lines]
    np.testing.assert_array_equal(columns["kl"], [np.float32(line["kl"]) for line in lines])
    assert [index for index in columns["row_index"] if index is None] == [None] * (len(PARTS) * COLUMNS)


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_a_lens_has_a_line_for_each_row_that_it_reads(form: str) -> None:
    if form == "table":
        text = table(READOUT, HOSTILE, SOURCE, PROBABILITY, pins=PINS, width=400).plain
        labels = [line.split()[0] for line in text.splitlines() if line and line.split()[0] in ROWS]
    else:
        text = markdown(READOUT, HOSTILE, SOURCE, PROBABILITY, pins=PINS, command="x")
        labels = [cell for line in text.splitlines() if (cell := line[2:].partition(" |")[0]) in ROWS]
    assert labels == [*ROWS[::-1], "1", "0", "emb"] * 2
    assert SAID in text
    assert "–" not in text  # a number that there is not


def test_svg_leaves_what_is_not_read_empty_and_keeps_its_scale() -> None:
    def figure(readout: Readout) -> FigureFile:
        style = FigureStyle()
        return grid_figure("svg", readout, HOSTILE, SOURCE, KL, style=style, vocabulary=16, command="x")

    made = figure(READOUT)
    said = drawn.said(made.content)
    assert sum(text in ROWS for text in said[:-3]) == 2 * len(ROWS)
    assert SAID in made.caption.text
    without = Readout(
        READOUT.prompt, ("emb", "0", "1"), {name: READOUT.stream(name) for name in READOUT.lenses}
    )
    below = drawn.said(figure(without).content)[-3:]  # the numbers below the colours
    assert said[-3:] == [f"≥ {below[0]}", *below[1:]]
    empty = [fill for fill, _, text in drawn.cells(made.content) if not text]
    assert empty == ["#ffffff"] * (len(PARTS) * COLUMNS)


class Scripts(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._inside = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data)
            self._inside = False


def test_html_has_null_where_the_tuned_lens_has_no_number() -> None:
    page = html_page(READOUT, HOSTILE, SOURCE, KL, pins=PINS, vocabulary=16, command="x")
    data = json.loads(Scripts(page).found[0])
    assert SAID in page
    assert data["rows"] == list(ROWS)
    tuned = data["lenses"]["tuned"]
    for name in ("entropy", "kl", "rank", "next-logprob", "next-rank"):
        numbers = np.array(tuned["values"][name], object).reshape(len(ROWS), COLUMNS)
        assert (numbers[PARTS] == None).all(), name  # noqa: E711 - element by element
    assert all(data["texts"][tuned["top"][2 * COLUMNS * row]] == "" for row in PARTS)
    assert all(data["rows"][row] in {"emb", "0", "1"} for row in tuned["crystallization"])
    without = replace(
        READOUT, rows=("emb", "0", "1"), lenses={name: READOUT.stream(name) for name in READOUT.lenses}
    )
    plain = html_page(without, HOSTILE, SOURCE, KL, pins=PINS, vocabulary=16, command="x")
    scales = [value["scale"] for value in json.loads(Scripts(plain).found[0])["values"]]
    assert [value["scale"] for value in data["values"]] == scales
