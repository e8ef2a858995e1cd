"""Maps without room for their numbers, and curves: what stays, what is said."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from lenstui.export.figures.caption import Caption
from lenstui.export.figures.cell_drawing import draw_cells
from lenstui.export.figures.cells import CellFigure, Panel
from lenstui.export.figures.curves import Curve, CurveFigure, CurvePlot, draw_curves
from lenstui.export.figures.page import figure_bytes, text_width
from lenstui.export.figures.style import FigureStyle
from lenstui.readout.scales import Scale
from lenstui.support.errors import LensError
from tests.by_hand import drawn
from tests.by_hand.known_readouts import SOURCE

CAPTION = Caption("a map", (), SOURCE, (), "lenstui …")


def heads(count: int) -> CellFigure:
    """A map of so many attention heads in eight blocks, every number wide."""
    numbers = np.linspace(-4, 4, 8 * (count + 2), dtype=np.float32).reshape(8, count + 2)
    scale = Scale.around_zero(4)
    texts = [[f"{number:.4f}" for number in row] for row in numbers.tolist()]
    names = [*map(str, range(count)), "attn", "mlp"]
    return CellFigure(
        [Panel("a map", texts, scale.levels(numbers).tolist())],
        names, [str(block) for block in reversed(range(8))], "attention head", "block", scale, "nats",
        ("−4", "0", "4"), wraps=False,
    )  # fmt: skip


def svg(cells: CellFigure, width: float | None = None) -> bytes:
    return figure_bytes("svg", lambda: draw_cells(cells, FigureStyle(width)), CAPTION)


@pytest.mark.parametrize("count", [4, 12, 32])
def test_a_map_keeps_its_width_and_loses_numbers_before_columns(count: int) -> None:
    wide, narrow = svg(heads(count)), svg(heads(count), 85)
    assert drawn.size_mm(narrow)[0] == pytest.approx(85, abs=1e-3)
    cells = [box for box in drawn.boxes(narrow) if box.width > 3]
    assert len(cells) == 8 * (count + 2) + 11
    assert len({round(box.y, 1) for box in cells}) == 8 + 1  # nothing goes on below
    has_numbers = "-4.0000" in drawn.said(narrow)
    assert has_numbers == (count == 4)
    if count < 32:
        assert "-4.0000" in drawn.said(wide)


def test_the_heads_of_narrow_columns_do_not_run_into_each_other() -> None:
    texts = drawn.texts(svg(heads(32), 85))
    (line,) = {text.y for text in texts if text.text == "attn"}
    found = sorted((text.x, text.text) for text in texts if text.y == line)
    assert [text for _, text in found][-2:] == ["attn", "mlp"]
    for (x, text), (following, _) in itertools.pairwise(found):
        assert x + text_width(text) * 72 / 25.4 < following


def test_panels_stand_beside_each_other_where_they_fit() -> None:
    one = heads(4)
    two = replace(one, panels=[one.panels[0], replace(one.panels[0], title="another")])
    for width, lines in ((180, 1), (85, 2)):
        titles = {text.y for text in drawn.texts(svg(two, width)) if text.text in {"a map", "another"}}
        assert len(titles) == lines


def curves(name: str = "a", count: int = 3) -> CurveFigure:
    plot = CurvePlot("a plot", "nats", [Curve(name, [1.0, math.nan, 3.0], [0.1, math.nan, 0.2])])
    return CurveFigure([plot] * count, "row", ["emb", "0", "1"])


@pytest.mark.parametrize(("width", "across"), [(50, 1), (85, 2), (120, 3), (180, 3)])
def test_plots_stand_beside_each_other_where_they_fit(width: float, across: int) -> None:
    figure = figure_bytes("svg", lambda: draw_curves(curves(), FigureStyle(width)), CAPTION)
    assert drawn.size_mm(figure)[0] == pytest.approx(width, abs=1e-3)
    tops = [text.y for text in drawn.texts(figure) if text.text == "a plot"]
    assert len(tops) == 3 and tops.count(tops[0]) == across


def test_a_name_that_is_wider_than_the_figure() -> None:
    def draw(width: float) -> bytes:
        return figure_bytes("svg", lambda: draw_curves(curves("long " * 20), FigureStyle(width)), CAPTION)

    with pytest.raises(LensError, match=r"^60 mm are too narrow for this figure: it takes at least \d+ mm"):
        draw(60)
    assert drawn.size_mm(draw(150))[0] == pytest.approx(150, abs=1e-3)


def test_a_line_is_broken_where_there_is_no_number() -> None:
    (points, *_) = drawn.lines(
        figure_bytes("svg", lambda: draw_curves(curves(count=1), FigureStyle(85)), CAPTION), "axes_2"
    )
    assert len(points) == 2  # and none in the middle
