"""SVG figures, parsed: what is drawn where, in which colour."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from lenstui.export.svg_figure import svg_figure

from lenstui.export.colours import COLOURS, DIVERGING_COLOURS, contrast, readable
from lenstui.export.text_width import clip
from lenstui.lens import Readout
from lenstui.readout.scales import NO_LEVEL
from lenstui.readout.values import AGREEMENT, KL, PIN_DIFFERENCE, PROBABILITY, Value, all_values
from lenstui.support.printable import printable
from tests.by_hand.known_readouts import (
    HOSTILE,
    HOSTILE_PROMPT,
    HOSTILE_SOURCE,
    SOURCE,
    hostile_readout,
    settled,
)

NS = "{http://www.w3.org/2000/svg}"
COMMAND = "lenstui read -p '<&>' --format svg"


def figure(readout: Readout, value: Value = PROBABILITY) -> ET.Element:
    text = svg_figure(readout, HOSTILE, HOSTILE_SOURCE, value, vocabulary=16, command=COMMAND)
    return ET.fromstring(text)


def cells_of(svg: ET.Element) -> list[tuple[str, str, str]]:
    """Background, ink and text of the cells, in the order of the file: a text behind its rectangle."""
    parts = [part for part in svg if part.tag in {f"{NS}rect", f"{NS}text"}]
    pairs = [
        (one.attrib["fill"], other.attrib["fill"], other.text or "")
        for one, other in pairwise(parts)
        if one.tag == f"{NS}rect" and other.tag == f"{NS}text"
    ]
    return pairs[1:-1]  # without the ground and the legend


@pytest.mark.parametrize("value", all_values(), ids=lambda value: value.key)
def test_every_cell_has_its_token_and_colour(value: Value) -> None:
    readout = hostile_readout(5, 4)
    scale = value.scale([value.of(cells) for cells in readout.lenses.values()], 16)
    wanted = []
    for cells in readout.lenses.values():
        levels = scale.levels(value.of(cells))
        for row in (3, 2, 1, 0):
            for column in range(5):
                level = int(levels[row, column])
                colour = "#eeeeee" if level == NO_LEVEL else (COLOURS + DIVERGING_COLOURS)[level]
                token = clip(HOSTILE[int(cells.top_ids[row, column, 0])], 10)
                wanted.append((colour, readable(colour), token))
    assert cells_of(figure(readout, value)) == wanted


def test_a_bar_is_where_each_column_settles() -> None:
    readout = hostile_readout(5, 4)
    readout.lenses["tuned"].top_ids[1:, 2, 0] = readout.lenses["tuned"].top_ids[3, 2, 0]
    svg = figure(readout)
    boxes = [part.attrib for part in svg.iter(f"{NS}rect") if part.attrib["height"] == "16"]
    assert len(boxes) == 2 * 4 * 5
    bars = []
    for path in svg.iter(f"{NS}path"):
        place = re.match(r"M(\d+) (\d+)h", path.attrib["d"])
        assert place is not None
        index = next(i for i, box in enumerate(boxes) if (box["x"], box["y"]) == place.groups())
        lens, row, column = index // 20, 3 - index % 20 // 5, index % 5
        bars.append((lens, column, "emb" if row == 0 else str(row - 1)))
        assert contrast(path.attrib["fill"], boxes[index]["fill"]) > 1.8
    wanted = [settled(lens) for lens in readout.lenses.values()]
    assert wanted[1][2] == "0"
    assert sorted(bars) == [(i, column, label) for i in (0, 1) for column, label in enumerate(wanted[i])]


def test_heads_labels_and_legend_are_there() -> None:
    texts = [part.text for part in figure(hostile_readout(5, 4), KL).iter(f"{NS}text")]
    assert texts.count("logit lens") == texts.count("tuned lens") == 1
    for label in ("2", "1", "0", "emb"):
        assert texts.count(label) >= 2
    for head in [clip(HOSTILE[token], 10) for token in range(5)]:
        assert texts.count(head) >= 2
    assert texts[-6:-2] == ["KL from final, nats", "5.00", "2.50", "0"]
    assert printable(HOSTILE_SOURCE.model) in (texts[-2] or "")


def test_a_scale_that_diverges_has_its_own_colours_and_one_of_two_has_two() -> None:
    svg = figure(hostile_readout(5, 4), PIN_DIFFERENCE)
    assert [part.attrib["fill"] for part in svg.iter(f"{NS}rect")][-11:] == list(DIVERGING_COLOURS)
    texts = [part.text or "" for part in svg.iter(f"{NS}text")]
    assert texts[-6] == "logit of pin 1 − pin 2"
    assert texts[-4] == "0"
    assert texts[-5] == f"−{texts[-3]}"
    svg = figure(hostile_readout(5, 4), AGREEMENT)
    assert [part.attrib["fill"] for part in svg.iter(f"{NS}rect")][-2:] == [COLOURS[0], COLOURS[-1]]
    title, *words, _, _ = [part.text or "" for part in svg.iter(f"{NS}text")][-5:]
    not_counted = "without the last row and the first column"
    assert re.fullmatch(rf"top-1 is the final one, logit \d+% yes · tuned \d+% yes, {not_counted}", title)
    assert words == ["no", "yes"]


def test_it_says_where_it_comes_from_and_how_to_make_it_again() -> None:
    svg = figure(hostile_readout())
    title, said = svg.findtext(f"{NS}title"), svg.findtext(f"{NS}desc")
    assert title == f"logit lens and tuned lens of {printable(HOSTILE_SOURCE.model)}, coloured by probability"
    assert said is not None
    assert f"Prompt: {printable(HOSTILE_PROMPT)}\n" in said
    assert "torch 1.2, transformers 3.4\n" in said
    assert said.endswith(f"Made by: {COMMAND}")


@pytest.mark.parametrize(("columns", "rows"), [(1, 2), (5, 7), (20, 13), (100, 7), (100, 33)])
@pytest.mark.parametrize("lenses", [1, 2])
def test_the_size_is_sensible_and_nothing_is_outside(columns: int, rows: int, lenses: int) -> None:
    readout = hostile_readout(columns, rows, 1)
    shown = dict(list(readout.lenses.items())[:lenses])
    svg = figure(replace(readout, lenses=shown))
    width, height = int(svg.attrib["width"]), int(svg.attrib["height"])
    assert svg.attrib["viewBox"] == f"0 0 {width} {height}"
    assert 300 < width < 4500
    assert height < 1.5 * width or width < 1000
    boxes = [
        {key: int(part.attrib[key]) for key in ("x", "y", "width", "height")}
        for part in svg.iter(f"{NS}rect")
    ]
    assert all(box["x"] + box["width"] <= width and box["y"] + box["height"] <= height for box in boxes)
    assert len(boxes) == 1 + len(COLOURS) + lenses * columns * rows
    assert len({(box["x"], box["y"]) for box in boxes}) == len(boxes), "no two on the same place"


def test_what_goes_on_below_says_which_columns_it_is() -> None:
    texts = [part.text or "" for part in figure(hostile_readout(60, 3)).iter(f"{NS}text")]
    runs = [
        match for text in texts if (match := re.fullmatch(r"logit lens · columns (\d+)–(\d+) of 60", text))
    ]
    assert len(runs) > 1
    assert [column for run in runs for column in range(int(run[1]), int(run[2]) + 1)] == list(range(60))


def test_a_cell_without_a_number_has_no_colour() -> None:
    readout = hostile_readout(3, 2)
    blank = replace(readout.lenses["logit"], kl=np.full((2, 3), np.nan, np.float32))
    assert {colour for colour, _, _ in cells_of(figure(replace(readout, lenses={"logit": blank}), KL))} == {
        "#eeeeee"
    }


def test_names_that_xml_cannot_hold_are_escaped() -> None:
    source = replace(SOURCE, model="\x00\x0b\ufffe\ud800&<")
    text = svg_figure(hostile_readout(2, 2), HOSTILE, source, KL, vocabulary=16, command="x")
    assert "\\x00\\x0b\\ufffe\\ud800&<" in (ET.fromstring(text).findtext(f"{NS}title") or "")
    assert text.replace("\n", "").isprintable()
