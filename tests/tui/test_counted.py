"""What counts towards scales, shares and numbers of cells: all but the first column, often a sink."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.legend import Legend
from tests.tui.pilots.beside_pilot import ONE, OTHER, put_beside
from tests.tui.pilots.looking import place


@pytest.mark.parametrize(
    ("text", "gap"), [(ONE, slice(6, 9)), (OTHER[-3:], slice(0, 10))], ids=["gap within", "gap in front"]
)
async def test_the_first_token_of_a_second_prompt_does_not_count(opened: Any, text: str, gap: slice) -> None:
    async with opened(OTHER, size=(180, 40)) as (app, pilot):
        panes = app.explore.panes
        await put_beside(app, pilot, text)
        await pilot.press("v", "v", "v", "v", "v")
        assert panes.value.key == "agree"
        left, right = (panes.grids[place(lens)] for lens in ("logit", "tuned"))
        top1 = [grid.cells.top_ids[:, :, 0] for grid in (left, right)]
        assert (top1[1] < 0).any(axis=0).nonzero()[0].tolist() == [*range(len(OTHER))][gap]
        of_prompts = [top1[0], np.delete(top1[1], gap, axis=1)]
        shares = [100 * (of == of[-1])[:-1, 1:].mean() for of in of_prompts]
        assert panes.query_one(Legend).note == f"left {shares[0]:.0f}% yes · right {shares[1]:.0f}% yes"
        await pilot.press("V", "V", "V")
        assert panes.value.key == "kl"
        scaled = right.scaled_values
        np.testing.assert_array_equal(scaled[:, 0], right.cells.kl[:, 0 if gap.start else gap.stop])
        await pilot.press("d")
        differs = np.delete(top1[0] != top1[1], gap, axis=1)[:, 1:]  # of two prompts the last row, too, may
        assert str(panes.pane("difference").border_subtitle) == (
            f"≠ another token leads: in {differs.sum()} of {differs.size} cells (without the first column)"
        )
        await pilot.press("c")
        told = str(panes.pane("difference").border_subtitle)
        assert told.endswith(" cells (without the first column) · ┃ the right pane settles")
        brief = panes.query_one(DifferenceGrid).counted_text(20, last=True)
        assert brief == f"≠ in {differs.sum()} of {differs.size} cells"
