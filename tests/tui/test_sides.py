"""Sides: any kind of lens, a third side, which of them keys are about, and what cannot be taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.text import Text

from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.detail import CellView
from lenstui.tui.explore.pin_line import PinLine
from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.legend import Legend
from lenstui.tui.grid.pane import Pane
from tests.by_hand.mirrored import mirrored_logits, registered
from tests.by_hand.naive_values import naive_logits, naive_values
from tests.tui.pilots.looking import said, subtitle, until

TEXT = "Hello, you"


def shown(app: LenstuiApp) -> list[str]:
    """Titles of the panes on screen."""
    panes = (pane for pane in app.explore.query(Pane) if pane.region)
    return [Text.from_markup(str(pane.border_title)).plain for pane in panes]


def assert_shows(app: LenstuiApp, side: int, logits: np.ndarray) -> None:
    naive, cells = naive_values(logits), app.explore.grids[side].cells
    assert cells is not None
    np.testing.assert_allclose(cells.kl, naive["kl"], atol=1e-3)
    np.testing.assert_array_equal(cells.final_rank, naive["rank"])


async def test_a_new_kind_of_lens_is_a_press_of_l_away(opened: Any, tiny_model: Path) -> None:
    with registered():
        async with opened(TEXT, size=(180, 40)) as (app, pilot):
            await pilot.press("v", "v", "tab", "L")
            await until(pilot, lambda: "mirrored" in shown(app)[1] and subtitle(app).endswith(" s"))
            assert shown(app) == ["logit lens · KL from final", "mirrored lens · KL from final"]
            mirrored = mirrored_logits(tiny_model, TEXT)
            assert_shows(app, 1, mirrored)
            legend = app.explore.query_one(Legend).render_line(0).text
            assert legend.startswith("KL from final")
            view = app.explore.query_one("#detail-1", CellView)
            await until(pilot, lambda: str(view.render()).startswith("mirrored"))
            await pilot.press("d")
            difference = app.explore.query_one(DifferenceGrid)
            logit = naive_values(naive_logits(tiny_model, TEXT)["logit"])["kl"]
            np.testing.assert_allclose(difference.values, naive_values(mirrored)["kl"] - logit, atol=1e-3)
            assert shown(app) == ["mirrored lens − logit lens · KL from final"]
            await pilot.press("d", "L")
            await until(pilot, lambda: "tuned" in shown(app)[1] and subtitle(app).endswith(" s"))


async def test_a_third_side_shares_the_cursor_and_has_its_numbers(opened: Any, tiny_model: Path) -> None:
    with registered():
        async with opened(TEXT, size=(180, 40)) as (app, pilot):
            await pilot.press("plus")
            await until(pilot, lambda: len(shown(app)) == 3 and subtitle(app).endswith(" s"))
            assert shown(app)[2] == "mirrored lens · probability"
            assert app.explore.panes.active == 2  # it is what comes next
            mirrored, ours = mirrored_logits(tiny_model, TEXT), naive_logits(tiny_model, TEXT)
            for side, logits in enumerate((ours["logit"], ours["tuned"], mirrored)):
                assert_shows(app, side, logits)
            await pilot.press("left", "up")
            assert len({grid.cursor for grid in app.explore.grids}) == 1
            assert len({pane.region.width for pane in app.explore.query(Pane) if pane.region}) == 1
            views = list(app.explore.query(CellView))
            await until(pilot, lambda: all(view.facts for view in views))
            assert [view.facts.lens for view in views if view.facts] == ["logit", "tuned", "mirrored"]
            await pilot.press("p")
            line = app.explore.query_one(PinLine)
            await until(pilot, lambda: list(line.numbers) == ["logit", "tuned", "mirrored"])
            await pilot.press("v", "v", "d")  # it minus the first
            values = app.explore.query_one(DifferenceGrid).values
            kl = {name: naive_values(of)["kl"] for name, of in (*ours.items(), ("mirrored", mirrored))}
            np.testing.assert_allclose(values, kl["mirrored"] - kl["logit"], atol=1e-3)
            await pilot.press("tab")  # on to the first: of which it is the second minus the first
            await until(pilot, lambda: shown(app) == ["tuned lens − logit lens · KL from final"])
            values = app.explore.query_one(DifferenceGrid).values
            np.testing.assert_allclose(values, kl["tuned"] - kl["logit"], atol=1e-3)
            await pilot.press("d", "enter")
            await until(pilot, lambda: isinstance(app.screen, CellScreen) and app.screen.is_mounted)
            screen = app.screen
            await until(pilot, lambda: all(screen.list_of(side)._lines for side in range(3)))
            await pilot.press("escape", "plus")
            await until(pilot, lambda: "no room for more" in said(app))
            await pilot.press("minus")
            await until(pilot, lambda: len(shown(app)) == 2 and subtitle(app).endswith(" s"))
            assert shown(app) == ["tuned lens · KL from final", "mirrored lens · KL from final"]


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_three_sides_need_room(opened: Any, size: tuple[int, int]) -> None:
    async with opened(TEXT, size=size) as (app, pilot):
        await pilot.press("plus")
        assert "150 columns" in said(app)
        assert len(app.explore.sides) == 2


async def test_one_side_stays(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await pilot.press("minus")
        await until(pilot, lambda: len(app.explore.sides) == 1 and subtitle(app).endswith(" s"))
        assert shown(app) == ["tuned lens · probability"]
        assert_shows(app, 0, naive_logits(tiny_model, TEXT)["tuned"])
        for key, reason in (("minus", "One side stays"), ("d", "There is one side"), ("tab", "There is one")):
            await pilot.press(key)
            await until(pilot, lambda reason=reason: reason in said(app))
        await pilot.press("plus")
        await until(pilot, lambda: len(shown(app)) == 2 and subtitle(app).endswith(" s"))
        assert shown(app) == ["tuned lens · probability", "logit lens · probability"]
        await pilot.press("L")
        await until(pilot, lambda: "Every lens of this model" in said(app))


async def test_what_is_read_again_is_what_is_on_the_sides(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await pilot.press("minus")
        await until(pilot, lambda: len(app.explore.sides) == 1 and subtitle(app).endswith(" s"))
        await pilot.press("i", "end", "!", "enter")
        await until(pilot, lambda: len(app.explore.columns) == len(TEXT) + 1 and subtitle(app).endswith(" s"))
        assert_shows(app, 0, naive_logits(tiny_model, TEXT + "!")["tuned"])
