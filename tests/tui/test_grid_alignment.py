"""Every line of the grid is as wide as the grid, whatever the tokens are."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len, set_cell_size
from rich.style import Style
from textual.strip import Strip

from lenstui.readout.cells import IntArray
from lenstui.readout.scales import NO_LEVEL, STEPS, Scale
from lenstui.readout.values import PROBABILITY
from lenstui.support.cell_width import fit
from lenstui.tui.grid import palette
from lenstui.tui.grid.cell import Look
from lenstui.tui.grid.cells import GridCells
from lenstui.tui.grid.column_marks import ColumnMarks
from lenstui.tui.grid.frame import Frame
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.grid.palette import Mode
from lenstui.tui.grid.room import NO_FIGURES, ColumnLayout, Contents, RowFigures
from tests.tui.pilots.grid_app import cut, random_cells, some_columns

displayable = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), max_size=12
) | st.sampled_from(
    ["日本語日本語日本語", "🙂🙂🙂🙂🙂🙂", "é" * 20, "é", "·ไทย", "", "⟨E2⟩⟨80⟩", "ﷺ", "한국어", "𝒳𝒴𝒵"]
)


def steps(mode: Mode) -> int:
    return len(palette.colours(mode)) or STEPS


def look(mode: Mode) -> Look:
    plain = Style()
    levels = {**palette.styles(mode), NO_LEVEL: plain}
    return Look(mode, steps(mode), plain, plain, plain, plain, plain, plain, Style(underline=True), levels)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(displayable, min_size=6, max_size=6),
    width=st.integers(8, 120),
    depth=st.integers(1, 5),
    layout=st.builds(ColumnLayout, st.integers(9, 20), st.sampled_from(Contents)),
    mode=st.sampled_from(Mode),
    first=st.integers(0, 5),
    cursor=st.integers(0, 5),
    marks=st.booleans(),
    figures=st.sampled_from(
        [NO_FIGURES, RowFigures({"emb": "0.42"}), RowFigures({"0": "100%"}, frozenset({"0"}))]
    ),
    begins=st.sets(st.integers(0, 5)),
    hidden=st.sets(st.integers(0, 4)),
)
def test_every_line_is_as_wide_as_the_grid_and_columns_align(
    texts: Sequence[str],
    width: int,
    depth: int,
    layout: ColumnLayout,
    mode: Mode,
    first: int,
    cursor: int,
    marks: bool,
    figures: RowFigures,
    begins: set[int],
    hidden: set[int],
) -> None:
    columns, gutter = len(texts), 5 + figures.width
    cells = GridCells(2, columns)
    names: Mapping[int, str] = dict(enumerate(texts))
    ids = np.stack([np.roll(np.arange(columns), i) for i in range(2 * 3)]).reshape(2, 3, columns)
    tops: IntArray = np.moveaxis(ids, 1, 2).astype(np.int32)
    read = replace(random_cells(2, columns), top1=tops[..., 0], top_ids=tops)
    cells.put(1, some_columns(read, 1, columns), names, PROBABILITY, Scale(0, 1, count=steps(mode)))
    size = layout.width
    seen = range(first, min(columns, first - (gutter - width) // size))
    shown = [column for column in seen if column not in hidden] if hidden else seen
    frame = Frame(
        look=look(mode),
        cells=cells,
        rows=("0", "emb"),
        tokens=texts,
        flipped=True,
        cursor=Cursor(1, cursor),
        columns=shown,
        beside_cursor=cursor + 1,
        depth=depth,
        layout=layout,
        marks=marks,
        framed=True,
        figures=figures,
        column_marks=ColumnMarks(frozenset(begins), frozenset(begins), frozenset(begins)),
        dim_look=look(mode).dimmed(),
        gutter=gutter,
        width=width,
    )
    before = 2 if mode is Mode.PLAIN else 1
    for y in range(1 + 2 * depth + 1):
        strip = Strip(frame.line(y))
        assert sum(cell_len(segment.text) for segment in strip) == strip.cell_length == width
        for i, column in enumerate(shown):
            x = gutter + i * size
            if sum(map(cell_len, strip.text)) != width:
                continue  # marks that widen what they stand on: counted in all, not letter by letter
            if x + size <= width and y == 0:
                assert cut(strip.text, x, size)[before:].startswith(fit(texts[column], size - 3).rstrip("… "))
            elif x + size <= width:
                cut(strip.text, x, size)


@given(displayable, st.integers(0, 15))
def test_fit(text: str, width: int) -> None:
    fitted = fit(text, width)
    assert cell_len(fitted) == width
    if cell_len(text) <= width:
        assert fitted == text + " " * (width - cell_len(text))
    elif width > 3:
        assert fitted[-1] == "…"
        assert text.startswith(set_cell_size(fitted[:-1].rstrip(), 0) or fitted[:-1].rstrip())


def test_wild_texts_are_wild() -> None:
    assert unicodedata.east_asian_width("日") == "W"
