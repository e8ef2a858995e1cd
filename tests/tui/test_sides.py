"""Sides: any kind of lens, a third side, which of them keys are about, and what cannot be taken away."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.text import Text

from lenstui.cli import main
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.cell import CellScreen
from lenstui.tui.explore.detail import CellView
from lenstui.tui.explore.pin_line import PinLine
from lenstui.tui.grid.difference_grid import DifferenceGrid
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.grid.legend import Legend
from lenstui.tui.grid.pane import Pane
from tests.by_hand.mirrored import mirrored_logits, registered
from tests.by_hand.naive_values import naive_logits, naive_values
from tests.tui.pilots.export_pilot import write
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
            await until(pilot, lambda: "the most that there may be" in said(app))
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
        for key, reason in (
            ("minus", "One side stays"),
            ("d", "No second side yet"),
            ("tab", "No second side"),
        ):
            await pilot.press(key)
            await until(pilot, lambda reason=reason: reason in said(app))
        await pilot.press("plus")
        await until(pilot, lambda: len(shown(app)) == 2 and subtitle(app).endswith(" s"))
        assert shown(app) == ["tuned lens · probability", "logit lens · probability"]
        await pilot.press("L")
        await until(pilot, lambda: "Every lens in use is on screen" in said(app))


async def test_what_is_read_again_is_what_is_on_the_sides(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await pilot.press("minus")
        await until(pilot, lambda: len(app.explore.sides) == 1 and subtitle(app).endswith(" s"))
        await pilot.press("i", "end", "!", "enter")
        await until(
            pilot, lambda: len(app.explore.state.columns) == len(TEXT) + 1 and subtitle(app).endswith(" s")
        )
        assert_shows(app, 0, naive_logits(tiny_model, TEXT + "!")["tuned"])


async def test_a_third_side_leaves_the_cursor_where_it_is(opened: Any) -> None:
    """What was read there before, of another prompt, is gone."""
    async with opened("ab", size=(180, 40)) as (app, pilot):
        await pilot.press("plus")
        await until(pilot, lambda: len(shown(app)) == 3 and subtitle(app).endswith(" s"))
        await pilot.press("minus")
        await until(pilot, lambda: len(shown(app)) == 2 and subtitle(app).endswith(" s"))
        assert app.explore.panes.pane(2).grid.cells is None
        await pilot.press("i", *"cdefg", "enter")
        await until(pilot, lambda: len(app.explore.state.columns) == 7 and subtitle(app).endswith(" s"))
        await pilot.press("plus")
        await until(pilot, lambda: len(shown(app)) == 3 and subtitle(app).endswith(" s"))
        assert app.explore.panes.cursor.column == 6


async def test_a_side_before_the_first_prompt_leaves_it_to_begin_at_its_end(opened: Any) -> None:
    async with opened("", size=(180, 40)) as (app, pilot):
        await pilot.press("escape", "plus")
        await until(pilot, lambda: len(app.explore.sides) == 3)
        await pilot.press("i", *"abc", "enter")
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert app.explore.panes.cursor == Cursor(len(app.explore.state.rows) - 1, 2)


async def test_keys_that_come_while_the_sides_change_are_refused_not_lost(opened: Any) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        seen, sides = app.explore.sides, app.program.sides
        post = app.program.post_to(app.explore)
        sides.add(post)
        sides.take_away(1, seen, post)  # of two, which are three by then
        await until(pilot, lambda: "about to change: press it again" in said(app))
        await until(pilot, lambda: len(shown(app)) == 3 and subtitle(app).endswith(" s"))
        sides.put_prompt(2, "abc", post)
        sides.next_lens(0, app.explore.sides, post)
        await until(pilot, lambda: app.explore.sides[2].prompt == "abc")
        assert len(app.explore.sides) == 3


async def test_one_lens_stays_to_look_through(opened: Any) -> None:
    """On a model with no tuned lens the logit lens is all there is."""
    async with opened(TEXT, lens=False, size=(180, 40)) as (app, pilot):
        await pilot.press("minus")
        await until(pilot, lambda: "no tuned lens to show anything by" in said(app))
        await pilot.press("plus")
        await until(pilot, lambda: "No tuned lens for" in said(app))
        assert [side.kind for side in app.explore.sides] == ["logit", "tuned"]


async def test_the_cell_in_full_follows_the_sides(opened: Any) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CellScreen) and app.screen.is_mounted)
        screen = app.screen
        app.program.sides.add(app.program.post)
        await until(pilot, lambda: len(screen.query(".ranking")) == 3)
        await until(pilot, lambda: all(screen.list_of(side)._lines for side in range(3)))
        app.program.sides.take_away(2, app.explore.sides, app.program.post)
        await until(pilot, lambda: len(screen.query(".ranking")) == 2)
        await pilot.resize_terminal(150, 30)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.explore)


async def test_keys_of_a_cell_that_no_side_reads_do_nothing(opened: Any) -> None:
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await pilot.press("minus")
        await until(pilot, lambda: len(app.explore.sides) == 1 and subtitle(app).endswith(" s"))
        await pilot.press("s")
        await until(pilot, lambda: "2.mlp" in app.explore.state.rows and subtitle(app).endswith(" s"))
        await pilot.press("g", *"row 2.mlp", "enter")
        await until(pilot, lambda: app.explore.state.rows[app.explore.panes.cursor.row] == "2.mlp")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CellScreen) and app.screen.is_mounted)
        await pilot.press("down", "pagedown", "home", "escape")
        await until(pilot, lambda: app.screen is app.explore)


async def test_the_copied_command_has_the_lenses_in_their_order(
    opened: Any, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And runs: of two lenses the second minus the first, as on screen."""
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await pilot.press("minus")
        await until(pilot, lambda: len(app.explore.sides) == 1 and subtitle(app).endswith(" s"))
        await pilot.press("plus")
        await until(pilot, lambda: len(app.explore.sides) == 2 and subtitle(app).endswith(" s"))
        await pilot.press("d", "Y")
        await until(pilot, lambda: "--lenses tuned,logit" in app.clipboard)
        words = shlex.split(app.clipboard)[1:]
        assert "--diff" in words
    assert main(words) == 0
    assert "logit lens − tuned lens" in capsys.readouterr().out


async def test_the_same_lens_on_two_sides_is_taken_once(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await pilot.press("plus")
        await until(pilot, lambda: len(shown(app)) == 3 and subtitle(app).endswith(" s"))
        await write(app, pilot, "json", tmp_path / "x.json")
        lenses = json.loads((tmp_path / "x.json").read_text())["lenses"]
        assert [key for key, lens in lenses.items() if lens is not None] == ["logit", "tuned"]
        await pilot.press("Y")
        await until(pilot, lambda: app.clipboard.startswith("lenstui read"))


async def test_a_picture_of_two_prompts_has_no_command(opened: Any, tmp_path: Path) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        app.program.sides.put_prompt(1, "Hello, we", app.program.post)
        await until(pilot, lambda: app.explore.state.has_prompts and subtitle(app).endswith(" s"))
        await write(app, pilot, "screen", tmp_path / "x.svg")
        text = (tmp_path / "x.svg").read_text()
        assert "other models or prompts are on screen" in text and "lenstui read" not in text


async def test_keys_are_never_typed_into_the_prompt_by_themselves(opened: Any) -> None:
    """Where the side that had the focus is taken away, another one has it."""
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await pilot.press("plus")
        await until(pilot, lambda: len(shown(app)) == 3 and subtitle(app).endswith(" s"))
        for left in (2, 1):
            await pilot.press("minus")
            await until(pilot, lambda left=left: len(shown(app)) == left and subtitle(app).endswith(" s"))
            assert app.focused in app.explore.grids
        await pilot.press("question_mark", "escape", "v")
        assert app.focused in app.explore.grids
        assert app.explore.panes.value.key == "entropy"


async def test_only_the_active_side_changes(opened: Any, tiny_model: Path) -> None:
    async with opened(TEXT, size=(180, 40)) as (app, pilot):
        await pilot.press("tab")
        app.program.sides.put_prompt(1, "Hello, yes", app.program.post)
        await until(pilot, lambda: app.explore.state.has_prompts and subtitle(app).endswith(" s"))
        assert [side.kind for side in app.explore.sides] == ["logit", "tuned"]
        assert_shows(app, 0, naive_logits(tiny_model, TEXT)["logit"])
        assert_shows(app, 1, naive_logits(tiny_model, "Hello, yes")["tuned"])
        app.program.sides.take_away(1, app.explore.sides, app.program.post)
        await until(pilot, lambda: len(app.explore.sides) == 1 and subtitle(app).endswith(" s"))
        assert [side.kind for side in app.explore.sides] == ["logit"]
