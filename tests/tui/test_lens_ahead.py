"""A fit has a lens before the screen hears of it, and the first prompt may be read through that."""

from __future__ import annotations

from lenstui.jobs.messages import ModelLoaded, ReadDone, ReadStarted, TileRead
from lenstui.tui.app import LenstuiApp
from tests.by_hand.made_up import COLUMNS, WORDS, cells
from tests.tui.pilots.still import WITHOUT_LENS, side_tile, still, whole

__all__ = ["still"]


async def test_cells_of_a_lens_that_has_no_grid_yet_end_nothing(still: LenstuiApp) -> None:
    model = WITHOUT_LENS

    def read(columns: int) -> None:
        explore.post_message(ReadStarted(1, COLUMNS[:columns], 0, model.rows))
        lenses = {name: cells(1.0).columns_in(range(columns)) for name in ("logit", "tuned")}
        explore.post_message(TileRead(1, side_tile(0, columns, lenses), dict(enumerate(WORDS))))
        explore.post_message(ReadDone(1, 0.1))

    async with still.run_test(size=(120, 40)) as pilot:
        explore = still.explore
        await whole(pilot)
        explore.post_message(ModelLoaded(model))
        await pilot.pause()
        explore.panes.training = frozenset({1})
        read(3)
        await pilot.pause(0.2)
        explore.panes.training = frozenset()  # that fit was discarded; the next one has begun
        read(len(COLUMNS))
        await pilot.pause(0.2)
        assert explore.grids[0].read_columns == len(COLUMNS)
        assert explore.grids[1].columns == ()
