"""A value registered while the program runs is in the colours, the legend, the detail and the keys."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lenstui.readout.values import values_for
from lenstui.tui.explore.detail import CellView
from lenstui.tui.grid import palette
from lenstui.tui.grid.grid import Grid
from lenstui.tui.grid.legend import Legend
from lenstui.tui.grid.pane import Pane
from lenstui.tui.help.commands import words
from tests.by_hand.margin import MARGIN, margin, registered
from tests.tui.pilots.looking import place, until


@pytest.mark.parametrize("size", [(200, 50), (120, 40), (80, 24)])
async def test_it_is_a_press_of_v_away(opened: Any, size: tuple[int, int]) -> None:
    with registered():
        assert (MARGIN.label[:16], MARGIN.keys_line) not in words()
        assert ("margin", MARGIN.keys_line) in words()
        async with opened("Hello, you", size=size) as (app, pilot):
            presses = [value.key for value in values_for(())].index("margin")
            await pilot.press("left", "left", *["v"] * presses)
            for lens in ("logit", "tuned"):
                grid = app.explore.query_one(f"#grid-{place(lens)}", Grid)
                assert grid.value is MARGIN
                assert grid.cells is not None
                wanted = margin(grid.cells)
                np.testing.assert_array_equal(grid.values, wanted)
                scale = replace(MARGIN.scale((), 1), count=palette.steps(app))
                np.testing.assert_array_equal(grid._cells.levels, scale.levels(wanted), err_msg="colours")
                assert MARGIN.label in str(app.explore.query_one(f"#pane-{place(lens)}", Pane).border_title)
                view = app.explore.query_one(f"#detail-{place(lens)}", CellView)
                number = MARGIN.format(float(wanted[-1, -3]))
                shown = re.compile(f"  (margin|{MARGIN.label}) {number}$|  margin {number}  ", re.MULTILINE)
                await until(pilot, lambda view=view, shown=shown: shown.search(str(view.render())))
            legend = app.explore.query_one(Legend)
            await pilot.pause()
            assert legend.render_line(0).text.startswith(f"{MARGIN.label}  0% ")
            await pilot.press("d")
            assert legend.value.label == f"{MARGIN.label}: tuned − logit"
    assert MARGIN.key not in {value.key for value in values_for(())}
