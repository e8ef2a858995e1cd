"""Grids as figures, parsed: what is drawn where, in which colour, at which width, with which caption."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from lenstui.export.colours import LIGHT_COLOURS, LIGHT_DIVERGING_COLOURS, contrast, readable
from lenstui.export.figures.file import FigureFile
from lenstui.export.figures.grid import grid_figure
from lenstui.export.figures.palette import cell_colour
from lenstui.export.figures.style import FIGURE_FORMS, FigureStyle
from lenstui.export.text_width import clip
from lenstui.lens import Readout
from lenstui.readout.scales import LEVELS, NO_LEVEL, STEPS
from lenstui.readout.values import AGREEMENT, KL, PIN_DIFFERENCE, PROBABILITY, Value, all_values
from lenstui.support.errors import LensError
from lenstui.support.printable import printable
from tests.by_hand import drawn
from tests.by_hand.known_readouts import (
    HOSTILE,
    HOSTILE_PROMPT,
    HOSTILE_SOURCE,
    SOURCE,
    hostile_readout,
    settled,
)

COMMAND = "lenstui read -p '<&>' --format svg"
PLAIN = FigureStyle()


def figure(
    readout: Readout,
    value: Value = PROBABILITY,
    style: FigureStyle = PLAIN,
    *,
    form: str = "svg",
    diff: bool = False,
) -> FigureFile:
    return grid_figure(
        form, readout, HOSTILE, HOSTILE_SOURCE, value, style=style, diff=diff, vocabulary=16, command=COMMAND
    )


def svg_of(readout: Readout, value: Value = PROBABILITY, style: FigureStyle = PLAIN) -> bytes:
    return figure(readout, value, style).content


@pytest.mark.parametrize("greyscale", [False, True])
@pytest.mark.parametrize("value", all_values(), ids=lambda value: value.key)
def test_every_cell_has_its_token_and_colour(value: Value, greyscale: bool) -> None:
    whole = hostile_readout(5, 4)
    for name, of_lens in whole.lenses.items():
        readout = replace(whole, lenses={name: of_lens})
        levels = value.scale([value.of(of_lens)], 16).levels(value.of(of_lens))
        wanted = []
        for row in (3, 2, 1, 0):
            for column in range(5):
                level = int(levels[row, column])
                colour = cell_colour(level, greyscale=greyscale)
                if not greyscale and level != NO_LEVEL:
                    assert colour == (LIGHT_COLOURS + LIGHT_DIVERGING_COLOURS)[level]
                token = clip(HOSTILE[int(of_lens.top_ids[row, column, 0])], 10)
                wanted.append((colour, readable(colour), token))
        assert drawn.cells(svg_of(readout, value, FigureStyle(greyscale=greyscale))) == wanted


def test_a_bar_is_where_each_column_settles() -> None:
    readout = hostile_readout(5, 4)
    readout.lenses["tuned"].top_ids[1:, 2, 0] = readout.lenses["tuned"].top_ids[3, 2, 0]
    for name, of_lens in readout.lenses.items():
        svg = svg_of(replace(readout, lenses={name: of_lens}))
        bars = drawn.bars(svg)
        boxes = [box for box in drawn.boxes(svg) if box.width > 3][:20]
        columns = sorted({round(box.x, 1) for box in boxes})
        rows = sorted({round(box.y, 1) for box in boxes}, reverse=True)
        found = {columns.index(round(bar.x, 1)): rows.index(round(bar.y, 1)) for bar in bars}
        labels = ["emb", "0", "1", "2"]
        assert [labels[found[column]] for column in range(5)] == settled(of_lens)
        for bar in bars:
            (cell,) = (box for box in boxes if (box.x, box.y) == (bar.x, bar.y))
            assert contrast(bar.fill, cell.fill) > 1.8
    assert settled(readout.lenses["tuned"])[2] == "0"


def test_heads_labels_axes_and_legend_are_there() -> None:
    said = drawn.said(svg_of(hostile_readout(5, 4), KL))
    assert said.count("logit lens") == said.count("tuned lens") == 1
    for label in ("2", "1", "0", "emb", "row", "input token"):
        assert said.count(label) >= 2
    for head in [clip(HOSTILE[token], 10) for token in range(5)]:
        assert said.count(head) >= 2
    assert said[-4:] == ["KL from final, nats", "5.00", "2.50", "0"]


def test_a_scale_that_diverges_has_its_own_colours_and_one_of_two_has_two() -> None:
    svg = svg_of(hostile_readout(5, 4), PIN_DIFFERENCE)
    assert [box.fill for box in drawn.boxes(svg)[-11:]] == list(LIGHT_DIVERGING_COLOURS)
    *_, legend, low, middle, high = drawn.said(svg)
    assert (legend, middle, low) == ("logit of pin 1 − pin 2", "0", f"−{high}")
    svg = svg_of(hostile_readout(5, 4), AGREEMENT)
    assert [box.fill for box in drawn.boxes(svg)[-2:]] == [LIGHT_COLOURS[0], LIGHT_COLOURS[-1]]
    said = " ".join(drawn.said(svg))
    not_counted = "without the last row and the first column"
    share = r"\d+% yes"
    assert re.search(rf"top-1 is the final one, logit {share} · tuned {share}, {not_counted} no yes$", said)


def test_greys_alone_and_frames_below_zero() -> None:
    readout = hostile_readout(5, 4)
    tuned = readout.lenses["tuned"]
    kl = readout.lenses["logit"].kl + np.linspace(-1, 1, 20, dtype=np.float32).reshape(4, 5)
    readout = replace(readout, lenses={**readout.lenses, "tuned": replace(tuned, kl=kl)})
    made = figure(readout, KL, FigureStyle(greyscale=True), diff=True)
    for colour in re.findall(rb"#([0-9a-f]{6})\b", made.content):
        assert colour[:2] == colour[2:4] == colour[4:]
    frames = [box for box in drawn.boxes(made.content) if box.edge != "none"]
    differences = kl - readout.lenses["logit"].kl
    levels = drawn.boxes(made.content)[-16:]  # the legend: eleven colours, five frames
    assert sum(box.edge != "none" for box in levels) == 5
    assert 0 < len(frames) - 5 <= (differences < 0).sum()
    assert "cells with a frame are below 0" in made.caption.text
    assert b"#" in figure(readout, KL, diff=True).content
    assert "frame" not in figure(readout, KL, diff=True).caption.text


def test_greys_get_darker_step_by_step() -> None:
    steps = [cell_colour(level, greyscale=True) for level in range(STEPS)]
    arms = [cell_colour(level, greyscale=True) for level in range(STEPS, LEVELS)]
    assert steps == sorted(steps, reverse=True) and len(set(steps)) == STEPS
    assert arms == arms[::-1] and arms[5:] == sorted(arms[5:], reverse=True)
    assert all(contrast(readable(grey), grey) >= 4.5 for grey in (*steps, *arms))


def test_the_caption_names_all_that_it_takes_to_trust_and_repeat_it() -> None:
    made = figure(hostile_readout())
    lines = made.caption.text.splitlines()
    model = printable(HOSTILE_SOURCE.model)
    assert lines[0] == f"logit lens and tuned lens of {model}, coloured by probability"
    assert f"Prompt: {printable(HOSTILE_PROMPT)}" in lines
    assert f"Model: {model} · revision \"&' · float32" in lines
    assert f"Lens: tuned lens {printable(HOSTILE_SOURCE.lenses[0].file or '')}" in lines
    (versions,) = (line for line in lines if line.startswith("Versions: lenstui "))
    assert versions.endswith(f"torch 1.2, transformers 3.4, matplotlib {mpl.__version__}")
    assert lines[-1] == f"Made by: {COMMAND}"
    assert drawn.description(made.content) == made.caption.text
    assert drawn.title(made.content) == lines[0]
    nameless = grid_figure(
        "svg", hostile_readout(2, 2), HOSTILE, SOURCE, KL, style=PLAIN, vocabulary=16, command="# None."
    )
    assert "revision none named" in nameless.caption.text
    assert nameless.caption.text.endswith("\nNone.")


@pytest.mark.parametrize("form", FIGURE_FORMS)
@pytest.mark.parametrize("diff", [False, True])
def test_the_same_figure_has_the_same_bytes(form: str, diff: bool) -> None:
    readout, style = hostile_readout(), FigureStyle(150, greyscale=diff)
    first = figure(readout, KL, style, form=form, diff=diff).content
    assert figure(readout, KL, style, form=form, diff=diff).content == first
    assert b"Date" not in first


def test_the_users_own_settings_of_matplotlib_change_nothing() -> None:
    first = [figure(hostile_readout(), form=form).content for form in FIGURE_FORMS]
    own = {"savefig.bbox": "tight", "font.size": 20, "axes.facecolor": "black", "svg.fonttype": "path"}
    with mpl.rc_context(own):  # type: ignore[arg-type]
        assert [figure(hostile_readout(), form=form).content for form in FIGURE_FORMS] == first
        assert mpl.rcParams["font.size"] == 20


@pytest.mark.parametrize(("columns", "rows"), [(1, 2), (5, 7), (20, 13), (100, 7), (60, 33)])
@pytest.mark.parametrize("lenses", [1, 2])
def test_the_size_is_sensible_and_nothing_is_outside(columns: int, rows: int, lenses: int) -> None:
    readout = hostile_readout(columns, rows, 1)
    readout = replace(readout, lenses=dict(list(readout.lenses.items())[:lenses]))
    svg = svg_of(readout)
    width, height = drawn.size_mm(svg)
    assert 40 < width < 1500
    assert height <= max(250, 1.5 * width)  # a page, but for the room at the right that is not used
    points = 72 / 25.4
    boxes = [box for box in drawn.boxes(svg) if box.width > 3]
    assert all(box.x >= 0 and box.x + box.width <= width * points for box in boxes)
    assert all(box.y + box.height <= height * points for box in boxes)
    assert len(boxes) == lenses * columns * rows + STEPS
    assert len({(box.x, box.y) for box in boxes}) == len(boxes), "no two on the same place"


@pytest.mark.parametrize("width", [120.0, 180.0])
def test_the_width_is_as_chosen(width: float) -> None:
    readout, style = hostile_readout(5, 4), FigureStyle(width)
    assert drawn.size_mm(svg_of(readout, KL, style))[0] == pytest.approx(width, abs=1e-3)
    pdf = figure(readout, KL, style, form="pdf").content
    assert drawn.pdf_size_mm(pdf) == pytest.approx(drawn.size_mm(svg_of(readout, KL, style)), abs=1e-3)


@pytest.mark.parametrize(("columns", "rows"), [(3, 4), (40, 7), (90, 5)])
def test_a_width_that_cannot_hold_the_columns_is_said_with_the_least_that_can(
    columns: int, rows: int
) -> None:
    readout = hostile_readout(columns, rows)
    with pytest.raises(LensError, match=r"^20 mm are too narrow for this figure") as told:
        figure(readout, KL, FigureStyle(20))
    found = re.search(r"at least (\d+) mm\.$", str(told.value))
    assert found is not None
    least = int(found[1])
    assert drawn.size_mm(svg_of(readout, KL, FigureStyle(least)))[0] == pytest.approx(least, abs=1e-3)
    with pytest.raises(LensError, match=f"at least {least} mm"):
        figure(readout, KL, FigureStyle(least - 1))


def test_what_goes_on_below_says_which_columns_it_is() -> None:
    said = drawn.said(svg_of(hostile_readout(60, 3)))
    runs = [
        match for text in said if (match := re.fullmatch(r"logit lens · columns (\d+)–(\d+) of 60", text))
    ]
    assert len(runs) > 1
    assert [column for run in runs for column in range(int(run[1]), int(run[2]) + 1)] == list(range(60))


def test_a_cell_without_a_number_has_no_colour() -> None:
    readout = hostile_readout(3, 2)
    blank = replace(readout.lenses["logit"], kl=np.full((2, 3), np.nan, np.float32))
    cells = drawn.cells(svg_of(replace(readout, lenses={"logit": blank}), KL))
    assert {colour for colour, _, _ in cells} == {"#ffffff"}


def test_more_cells_than_a_figure_has_room_for_are_refused() -> None:
    with pytest.raises(LensError, match=r"^24,000 cells are too many for a figure, .* HTML page\.$"):
        figure(hostile_readout(3000, 4, 1))


def test_names_that_xml_cannot_hold_are_escaped() -> None:
    source = replace(SOURCE, model="\x00\x0b\ufffe\ud800&<")
    for form in FIGURE_FORMS:
        made = grid_figure(
            form, hostile_readout(2, 2), HOSTILE, source, KL, style=PLAIN, vocabulary=16, command="x"
        )
        if form == "svg":
            assert "\\x00\\x0b\\ufffe\\ud800&<" in drawn.title(made.content)
            assert made.content.decode().replace("\n", "").isprintable()


def test_pdf_has_its_fonts_in_it() -> None:
    pdf = figure(hostile_readout(), form="pdf").content
    fonts = re.findall(rb"/BaseFont /(\S+)", pdf)
    assert fonts and all(font.endswith(b"DejaVuSans") for font in fonts)
    assert pdf.count(b"/FontFile2") >= 1 and b"/Type3" not in pdf
    assert b"/ToUnicode" in pdf  # text can be searched and copied


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler's pdftotext and pdffonts")
def test_pdf_is_read_by_others(tmp_path: Path) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(figure(hostile_readout(12, 4), KL, form="pdf").content)
    text = subprocess.run(["pdftotext", file, "-"], capture_output=True, text=True, check=True).stdout
    for said in ("logit lens", "tuned lens", "emb", "KL from final, nats", "input token", "${x}$y$"):
        assert said in text
    assert "U+65E5U+672CU+8A9E" in text  # the font has no 日本語
    fonts = subprocess.run(["pdffonts", file], capture_output=True, text=True, check=True).stdout
    for line in fonts.splitlines()[2:]:
        assert "CID TrueType" in line and line.split()[-5:-2] == ["yes", "yes", "yes"]


def test_files_have_their_caption_beside_them_and_devices_have_not(tmp_path: Path) -> None:
    made = figure(hostile_readout(2, 2))
    made.write(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes() == made.content
    assert (tmp_path / "a.svg.txt").read_text("utf-8") == f"{made.caption.text}\n"
    made.write(Path("/dev/null"))
    assert not Path("/dev/null.txt").exists()
    (tmp_path / "b.svg.txt").mkdir()
    with pytest.raises(LensError, match=r"b\.svg\.txt is a folder"):
        made.write(tmp_path / "b.svg")
    assert not (tmp_path / "b.svg").exists()


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(LensError, match=r"pip install 'lenstui\[figures\]'"):
        figure(hostile_readout(2, 2))
